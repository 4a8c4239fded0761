//! What is sent and what comes back.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use engine_api::Secret;
use reqwest::{
    Method, StatusCode,
    header::{
        AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
        RETRY_AFTER,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use super::{Error, RetryAfter, error::origin};

/// A request that is ready to be sent, as often as wanted.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) total_timeout: Option<Duration>,
    pub(super) max_response_bytes: Option<usize>,
}

impl Request {
    /// A request without a body.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the URL is not `http` or `https`, has no host, or carries credentials.
    pub fn new(method: Method, url: Url) -> Result<Self, Error> {
        let origin = origin(&url);
        let invalid = |what: String| Err(Error::Invalid { what });
        if !matches!(url.scheme(), "http" | "https") {
            return invalid(format!(
                "a URL must begin with `https://` or `http://`, not `{}:`",
                url.scheme()
            ));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return invalid("a URL must name a host".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return invalid(format!(
                "the URL of {origin} carries credentials: set them in their own field"
            ));
        }
        Ok(Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            total_timeout: None,
            max_response_bytes: None,
        })
    }

    /// A `GET`; see [`Request::new`].
    pub fn get(url: Url) -> Result<Self, Error> {
        Self::new(Method::GET, url)
    }

    /// A `POST`; see [`Request::new`].
    pub fn post(url: Url) -> Result<Self, Error> {
        Self::new(Method::POST, url)
    }

    /// Sets a header, in place of any of the same name.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the name or the value is not one that HTTP can carry.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let value = HeaderValue::from_str(value).map_err(|_| Error::Invalid {
            what: format!("the value of the header `{name}` holds characters that HTTP cannot carry"),
        })?;
        self.headers.insert(header_name(name)?, value);
        Ok(self)
    }

    /// Sets a header to a secret.
    ///
    /// # Errors
    ///
    /// As [`Request::header`]; the text does not show the value.
    pub fn secret_header(mut self, name: &str, value: &Secret) -> Result<Self, Error> {
        let name = header_name(name)?;
        let value = secret_value(name.as_str(), value.expose())?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sets `Authorization: Bearer …`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the token holds characters that a header cannot carry.
    pub fn bearer(mut self, token: &Secret) -> Result<Self, Error> {
        let value = zeroize::Zeroizing::new(format!("Bearer {}", token.expose()));
        self.headers
            .insert(AUTHORIZATION, secret_value("authorization", &value)?);
        Ok(self)
    }

    /// Sets `Authorization: Basic …`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the user name holds a colon, which the scheme cannot express.
    pub fn basic(mut self, user: &str, password: &Secret) -> Result<Self, Error> {
        if user.contains(':') {
            return Err(Error::Invalid {
                what: "a user name for basic authentication cannot hold `:`".to_owned(),
            });
        }
        let pair = zeroize::Zeroizing::new(format!("{user}:{}", password.expose()));
        let value = zeroize::Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        self.headers
            .insert(AUTHORIZATION, secret_value("authorization", &value)?);
        Ok(self)
    }

    /// Sets the body and its `Content-Type`.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = body.into();
        self
    }

    /// Sends a value as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the value has no JSON form.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(value).map_err(|error| Error::Invalid {
            what: format!("the body cannot be written as JSON: {error}"),
        })?;
        Ok(self.body("application/json", body))
    }

    /// Sends pairs as an HTML form does.
    #[must_use]
    pub fn form<'a>(self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// The longest that the whole exchange may take, in place of the door's own limit.
    #[must_use]
    pub fn total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout = Some(limit);
        self
    }

    /// The most bytes of an answer's body that are read, in place of the door's own limit.
    #[must_use]
    pub fn max_response_bytes(mut self, limit: usize) -> Self {
        self.max_response_bytes = Some(limit);
        self
    }
}

fn header_name(name: &str) -> Result<HeaderName, Error> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::Invalid {
        what: format!("`{}` is not the name of a header", name.escape_debug()),
    })
}

fn secret_value(name: &str, value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Error::Invalid {
        what: format!(
            "the secret for the header `{name}` holds characters that HTTP cannot carry, such as a line end"
        ),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("origin", &origin(&self.url))
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A complete answer. Its status may be any but a redirect's.
#[derive(Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

impl Response {
    /// A header's value, where it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// When the server wants to be asked again, where it says so in a form that is known.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        RetryAfter::parse(self.header(RETRY_AFTER.as_str())?)
    }

    /// The body read as JSON.
    ///
    /// # Errors
    ///
    /// The reader's own; it names a line and a column, and may quote a word of the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The length that an answer announces.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses an answer that points elsewhere.
pub(super) fn refuse_redirect(
    request: &Request,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<(), Error> {
    let Some(location) = headers.get(LOCATION).filter(|_| status.is_redirection()) else {
        return Ok(());
    };
    let target = location
        .to_str()
        .ok()
        .and_then(|location| request.url.join(location).ok());
    let location = target.map_or_else(|| "a place that is no URL".to_owned(), |target| origin(&target));
    Err(Error::Redirected {
        origin: origin(&request.url),
        status: status.as_u16(),
        location,
    })
}
