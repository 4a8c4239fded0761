//! The words users can write to `zoom-log-engine`, defined once.
//!
//! Specs (what a user writes), views (what the API shows), ids, durations, secrets, the error body, and the pure
//! rules over them: [`Spec::validate`] and the rules of [`label`] and [`detail`]. The engine and the Terraform provider both depend on
//! this crate and on nothing of each other, so the provider can refuse a bad spec at plan time with the engine's own
//! rule.
//!
//! **Invariant:** nothing here awaits, reads the clock, the environment or a file, except the client behind the
//! feature `client`.

#![warn(missing_docs)]

mod alarm_channel;
mod audit;
mod backfill;
#[cfg(feature = "client")]
pub mod client;
mod dead_letter;
mod destination;
pub mod detail;
mod id;
pub mod label;
mod log_type;
mod problem;
mod secret;
mod source;
mod spec;
mod spelled;
mod status;
mod token;
mod view;

pub use alarm_channel::{AlarmChannelSpec, AlarmWebhook};
pub use audit::{Actor, ActorKind, AuditEntry, AuditQuery};
pub use backfill::{BackfillFeed, BackfillRequest, BackfillState, BackfillView};
pub use dead_letter::{DeadLetterView, ReplayRequest, ReplayResult};
pub use destination::{
    BasicAuth, Batch, BodyFormat, Compression, DestinationSpec, FileDestination, HttpDestination, Only,
    SecretHeader,
};
pub use id::{AlarmChannelId, BackfillId, DeadLetterId, DestinationId, InvalidId, SourceId, TokenId};
pub use log_type::LogType;
pub use problem::{Code, FieldError, Problem};
pub use secret::Secret;
pub use source::{Authorization, Cloud, DropOffAlarm, SourceSpec};
pub use spec::{Kind, SecretField, Spec, Violation, same_origin};
pub use spelled::{HumanDuration, HumanInstant, Spelled, Spelling};
pub use status::{
    AlarmState, AlarmStatus, ChannelStatus, CheckReport, Consent, ConsentStatus, DestinationStatus,
    FeedCheck, FeedDelivery, FeedStatus, FeedTrouble, Health, SourceStatus, Trouble,
};
pub use token::{
    ExchangeRequest, ExchangedToken, Identity, NewToken, RenewRequest, Scope, TokenRequest, TokenView,
};
pub use view::{
    CompareAllRequest, CompareAllResult, CompareItem, CompareRequest, CompareResult, ComparedItem,
    EngineView, Items, MOST_COMPARED, SourceTrial, View,
};
