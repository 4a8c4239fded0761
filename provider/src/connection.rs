//! The engine as the operations of one run reach it: its client, who it is, and what was read of it.
//!
//! All of it is made when the provider is configured, so nothing that one run has read is seen by the next.

use std::collections::BTreeMap;

use engine_api::{
    AlarmChannelId, AlarmChannelSpec, DestinationId, DestinationSpec, EngineView, FeedTrouble, SourceId,
    SourceSpec, Spec,
    client::{Client, Error},
};
use tfplug::{diagnostics::Diagnostics, log, provider::Context, value::Value};
use tokio::sync::OnceCell;

use crate::{compares::Compares, problem, reads::Reads, schema::ENGINE_ID, settings};

/// What the configuration says about the engine.
#[derive(Debug)]
pub enum Engine {
    /// It can be spoken to.
    Known(Box<Connection>),
    /// Its URL or token comes from something that does not exist yet.
    Unknown,
}

impl Engine {
    /// Returns the connection, or says that there is none yet.
    pub fn connection(&self, diagnostics: &mut Diagnostics) -> Option<&Connection> {
        match self {
            Self::Known(connection) => Some(connection),
            Self::Unknown => {
                diagnostics.error(
                    "The engine is not known yet",
                    format!(
                        "{} of the provider depends on something that has not been created yet. Create that first, for \
                         example with `-target`.",
                        settings::NEEDED
                    ),
                );
                None
            }
        }
    }
}

/// A spec whose objects users keep with Terraform.
pub trait Kept: Spec {
    /// The name of the resource's type.
    const TYPE_NAME: &'static str;
    /// The attribute whose change sends secrets.
    const VERSION: &'static str;
    /// What every id begins with.
    const ID_PREFIX: &'static str;

    /// Returns what was read of the objects of this kind.
    fn reads(connection: &Connection) -> &Reads<Self>;

    /// Returns the comparisons of secrets of this kind.
    fn compares(connection: &Connection) -> &Compares;
}

/// Says which spec is kept as what.
macro_rules! kept {
    ($($spec:ty, $type_name:literal, $version:literal, $id:ty, $objects:ident;)*) => {$(
        impl Kept for $spec {
            const TYPE_NAME: &'static str = $type_name;
            const VERSION: &'static str = $version;
            const ID_PREFIX: &'static str = <$id>::PREFIX;

            fn reads(connection: &Connection) -> &Reads<Self> {
                &connection.$objects.reads
            }

            fn compares(connection: &Connection) -> &Compares {
                &connection.$objects.compares
            }
        }
    )*};
}

kept! {
    SourceSpec, "zoom_log_source", "client_secret_version", SourceId, sources;
    DestinationSpec, "zoom_log_destination", "secrets_version", DestinationId, destinations;
    AlarmChannelSpec, "zoom_log_alarm_channel", "secrets_version", AlarmChannelId, channels;
}

/// An engine that can be spoken to.
#[derive(Debug)]
pub struct Connection {
    client: Client,
    url: String,
    engine: OnceCell<EngineView>,
    /// By source; of all sources, since one request is cheaper than one for each.
    troubles: OnceCell<BTreeMap<String, Vec<FeedTrouble>>>,
    sources: Objects<SourceSpec>,
    destinations: Objects<DestinationSpec>,
    channels: Objects<AlarmChannelSpec>,
}

/// The objects of one kind: what was read of them, and what is asked about their secrets.
#[derive(Debug)]
struct Objects<S> {
    reads: Reads<S>,
    compares: Compares,
}

impl<S: Spec> Objects<S> {
    fn new() -> Self {
        Self {
            reads: Reads::default(),
            compares: Compares::new(S::KIND),
        }
    }
}

impl Connection {
    /// Returns the connection to the engine that `client` speaks to, at `url`. Nothing is sent yet.
    pub fn new(client: Client, url: &str) -> Self {
        Self {
            client,
            url: url.to_owned(),
            engine: OnceCell::new(),
            troubles: OnceCell::new(),
            sources: Objects::new(),
            destinations: Objects::new(),
            channels: Objects::new(),
        }
    }

    /// Returns the client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the engine's id, which is asked once in a run.
    ///
    /// # Errors
    ///
    /// Where the engine does not tell it; the next call asks again.
    pub async fn engine_id(&self) -> Result<&str, Error> {
        let engine = self.engine.get_or_try_init(|| self.client.engine()).await?;
        Ok(&engine.engine_id)
    }

    /// Returns the engine's id, unless an object is said to be on the engine `there`, which is another one.
    pub async fn serves<S: Spec>(&self, there: Option<&str>, diagnostics: &mut Diagnostics) -> Option<&str> {
        let here = match self.engine_id().await {
            Ok(here) => here,
            Err(error) => {
                problem::report(&error, "describe itself", &[], &Value::Null, diagnostics);
                return None;
            }
        };
        let Some(there) = there.filter(|there| *there != here) else {
            return Some(here);
        };
        diagnostics.error(
            "The provider speaks to another engine",
            format!(
                "The {kind} is on the engine `{there}`, and the provider is configured for the engine `{here}` at {}. \
                 Point `engine_url` at the engine that has the {kind}. Where that engine is gone for good, take the \
                 {kind} out of the state with `terraform state rm`, and apply again to make a new one here.",
                self.url,
                kind = S::KIND
            ),
        );
        None
    }

    /// Returns what keeps a source from being collected, which is asked once in a run for all sources. An engine that
    /// does not tell it has nothing to warn of.
    pub async fn troubles(&self, source: &str) -> &[FeedTrouble] {
        let troubles = self
            .troubles
            .get_or_init(|| async {
                all_troubles(&self.client).await.unwrap_or_else(|error| {
                    log::debug(
                        "the engine's troubles are not known",
                        &[("error", &error.to_string())],
                    );
                    BTreeMap::new()
                })
            })
            .await;
        troubles.get(source).map_or(&[], Vec::as_slice)
    }
}

async fn all_troubles(client: &Client) -> Result<BTreeMap<String, Vec<FeedTrouble>>, Error> {
    let mut troubles: BTreeMap<String, Vec<FeedTrouble>> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = client.troubles(after.as_deref()).await?;
        for trouble in page.items {
            troubles
                .entry(trouble.source_id.clone())
                .or_default()
                .push(trouble);
        }
        after = page.next;
        if after.is_none() {
            return Ok(troubles);
        }
    }
}

/// Returns the connection, or says why there is none.
pub fn known<'a>(context: &'a Context<Engine>, diagnostics: &mut Diagnostics) -> Option<&'a Connection> {
    context.data().and_then(|engine| engine.connection(diagnostics))
}

/// Returns the connection and the engine's id for an object with this state, unless another engine has it: then nothing
/// of that object may be read, planned or changed here, where the same id is nothing or, worse, a stranger.
pub async fn of<'a, S: Spec>(
    context: &'a Context<Engine>,
    state: &Value,
    diagnostics: &mut Diagnostics,
) -> Option<(&'a Connection, &'a str)> {
    let connection = known(context, diagnostics)?;
    let engine = connection
        .serves::<S>(state.get(ENGINE_ID).as_str(), diagnostics)
        .await?;
    Some((connection, engine))
}
