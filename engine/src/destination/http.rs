//! The `http` destination: batches of events by `POST`.
//!
//! What it sends: NDJSON or one JSON array, plain or gzip, with the headers and credentials of its spec. Beside them
//! `webhook-id` and `idempotency-key`, which are the same whenever the same batch is sent again, so that a receiver
//! can drop the repeat, `webhook-timestamp`, and with a signing secret `webhook-signature`.
//!
//! What an answer means: 2xx is an acknowledgement of the whole batch. 400 and 422 refuse something in it, 413 its
//! size. 408, 425, 429 and 5xx ask to come again. Everything else refuses the sender, not the events, and nothing is
//! sent until somebody has looked.

use std::io::Write as _;

use async_trait::async_trait;
use bytes::Bytes;
use engine_api::{BodyFormat, Compression, HttpDestination};
use flate2::write::GzEncoder;

use super::{
    Batch, Destination, Limits, Secrets, WriteError,
    request::{Body, Endpoint},
};
use crate::{clock::Clock, http::Http};

/// So many feeds' batches are under way at once.
const PARALLEL: usize = 8;

#[derive(Debug)]
pub(super) struct Posts {
    endpoint: Endpoint,
    format: BodyFormat,
    compression: Compression,
    limits: Limits,
    http: Http,
    clock: Clock,
}

impl Posts {
    pub(super) fn open(
        spec: &HttpDestination,
        secrets: &Secrets,
        http: Http,
        clock: Clock,
    ) -> Result<Self, WriteError> {
        let batch = &spec.batch;
        Ok(Self {
            endpoint: Endpoint::of_destination(spec, secrets)?,
            format: spec.format,
            compression: spec.compression,
            limits: Limits {
                max_events: batch.max_events as usize,
                max_bytes: batch.max_bytes as usize,
                max_age: batch.max_age.get(),
            },
            http,
            clock,
        })
    }

    fn body(&self, batch: &Batch) -> Result<Body, WriteError> {
        let (content_type, plain) = match self.format {
            BodyFormat::Ndjson => ("application/x-ndjson", batch.lines.clone()),
            BodyFormat::JsonArray => ("application/json", array(batch)),
        };
        let gzip = self.compression == Compression::Gzip;
        let bytes = if gzip {
            let mut encoder = GzEncoder::new(
                Vec::with_capacity(plain.len() / 4),
                flate2::Compression::default(),
            );
            encoder
                .write_all(&plain)
                .and_then(|()| encoder.finish())
                .map_err(|error| WriteError::unavailable(format!("the body cannot be compressed: {error}")))?
                .into()
        } else {
            plain
        };
        Ok(Body {
            id: batch.id.clone(),
            content_type,
            gzip,
            bytes,
        })
    }
}

/// The lines as one JSON array.
fn array(batch: &Batch) -> Bytes {
    let mut body = Vec::with_capacity(batch.lines.len() + 2);
    body.push(b'[');
    for line in batch.iter() {
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(line);
    }
    body.push(b']');
    body.into()
}

#[async_trait]
impl Destination for Posts {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn parallel(&self) -> usize {
        PARALLEL
    }

    async fn prepare(
        &self,
        _settled: Option<&str>,
        _interrupted: bool,
    ) -> Result<Option<String>, WriteError> {
        Ok(None)
    }

    async fn write(&self, batch: &Batch) -> Result<Option<String>, WriteError> {
        self.endpoint
            .post(&self.http, &self.clock, self.body(batch)?)
            .await?;
        Ok(None)
    }
}
