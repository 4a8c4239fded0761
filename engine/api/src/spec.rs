//! What all specs have in common: a name, secrets, references, and pure rules.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::Secret;

/// The kinds of object a user can declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// See [`crate::SourceSpec`].
    Source,
    /// See [`crate::DestinationSpec`].
    Destination,
    /// See [`crate::AlarmChannelSpec`].
    AlarmChannel,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Source, Self::Destination, Self::AlarmChannel];

    /// The path segment under `/v1`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Destination => "destinations",
            Self::AlarmChannel => "alarm-channels",
        }
    }

    /// The kind as words in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::AlarmChannel => "alarm channel",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.noun())
    }
}

/// One broken rule: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field, dotted from the root of the spec: `drop_off_alarm.after`.
    pub field: String,
    /// A sentence that says what is wrong and what a good value is.
    pub message: String,
}

impl Violation {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// One secret of a spec, as the user wrote it: the value, a reference to where the engine finds it, or neither.
#[derive(Debug, Clone, Copy)]
pub struct SecretField<'a> {
    /// The field, dotted from the root of the spec: `http.basic.password`.
    pub field: &'static str,
    /// The value in the request; empty means "remove what is stored".
    pub value: Option<&'a Secret>,
    /// `file:/path` or `env:NAME`.
    pub reference: Option<&'a str>,
    /// Whether an object of this shape cannot work without it.
    pub required: bool,
}

/// What a user writes. Serialising a spec leaves every secret out.
pub trait Spec:
    Serialize + DeserializeOwned + JsonSchema + fmt::Debug + Clone + Send + Sync + 'static
{
    /// Which kind this is.
    const KIND: Kind;

    /// The name, unique within its kind.
    fn name(&self) -> &str;

    /// The secrets that an object of this shape has, present or not.
    fn secrets(&self) -> Vec<SecretField<'_>>;

    /// The ids of the objects that this one needs; each must exist, and none can be deleted while this one stands.
    fn references(&self) -> Vec<(&'static str, String)>;

    /// The field with the URL that stored secrets are sent to, dotted from the root of the spec, where users choose it.
    const ADDRESS: Option<&'static str> = None;

    /// The URL in [`Spec::ADDRESS`].
    fn address(&self) -> Option<&str> {
        None
    }

    /// All broken rules, not only the first. Whether a required secret is stored already, only the engine knows.
    fn validate(&self, now: Timestamp) -> Vec<Violation>;
}

pub(crate) fn check_name(name: &str, violations: &mut Vec<Violation>) {
    let length = name.chars().count();
    if name.trim() != name || !(1..=100).contains(&length) || name.chars().any(char::is_control) {
        violations.push(Violation::new(
            "name",
            "must be 1 to 100 characters, without control characters and without spaces at its ends",
        ));
    }
}

pub(crate) fn check_secrets(spec: &impl Spec, violations: &mut Vec<Violation>) {
    for secret in spec.secrets() {
        if secret.value.is_some_and(|value| !value.is_empty()) && secret.reference.is_some() {
            violations.push(Violation::new(
                secret.field,
                format!(
                    "conflicts with `{}_ref`: give the secret itself or the reference, not both",
                    secret.field
                ),
            ));
        }
        if let Some(reference) = secret.reference {
            let named = reference
                .strip_prefix("file:/")
                .or_else(|| reference.strip_prefix("env:"));
            if named.is_none_or(|rest| rest.is_empty() || rest.contains('\0')) {
                violations.push(Violation::new(
                    format!("{}_ref", secret.field),
                    "must be `file:` and an absolute path, or `env:` and a variable's name, such as \
                     `file:/run/secrets/zoom` or `env:ZOOM_SECRET`",
                ));
            }
        }
    }
}

/// Whether two URLs have the same scheme, host and port, so that what may be sent to the one may be sent to the other.
pub fn same_origin(one: &str, other: &str) -> bool {
    match (url::Url::parse(one), url::Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

pub(crate) fn check_url(field: &str, url: &str, violations: &mut Vec<Violation>) {
    let parsed = url::Url::parse(url);
    let message = match &parsed {
        Err(error) => Some(format!("is not a URL: {error}")),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => Some(format!(
            "has the scheme `{}`: only `https` and `http` can be sent to",
            url.scheme()
        )),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some("holds credentials: put them into the secret fields, where they are sealed".to_owned())
        }
        Ok(url) if url.fragment().is_some() => Some("has a fragment, which is never sent".to_owned()),
        Ok(_) => None,
    };
    violations.extend(message.map(|message| Violation::new(field, message)));
}

/// Headers that the engine sets itself, or that carry a secret and so belong into a secret field.
const RESERVED_HEADERS: [&str; 11] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "proxy-authorization",
    "transfer-encoding",
    "user-agent",
    "te",
];

pub(crate) fn check_header_name(field: &str, name: &str, violations: &mut Vec<Violation>) {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.bytes().all(token) {
        violations.push(Violation::new(field, format!("`{name}` is not a header name")));
    } else if RESERVED_HEADERS.contains(&lower.as_str()) || lower.starts_with("webhook-") {
        violations.push(Violation::new(
            field,
            format!("`{name}` is set by the engine; credentials go into the secret fields"),
        ));
    }
}

pub(crate) fn check_header_value(field: &str, value: &str, violations: &mut Vec<Violation>) {
    if !value
        .bytes()
        .all(|byte| byte == b'\t' || (0x20..0x7f).contains(&byte))
    {
        violations.push(Violation::new(field, "must be printable ASCII"));
    }
}
