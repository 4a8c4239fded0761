//! Reads an answer's body without trusting its size.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is larger than the limit, on the wire or decompressed.
    TooLarge,
    /// It is not what its `Content-Encoding` says.
    Broken(String),
}

/// A body that is being read. Both its size on the wire and its decompressed size are limited, so that neither an
/// endless stream nor a small one that unpacks to gigabytes costs more memory than the limit.
pub(super) struct Body {
    limit: usize,
    received: usize,
    sink: Sink,
}

enum Sink {
    Plain(Capped),
    Gzip(Box<MultiGzDecoder<Capped>>),
}

impl Body {
    pub(super) fn new(headers: &HeaderMap, limit: usize) -> Result<Self, Fault> {
        let capped = Capped {
            bytes: Vec::new(),
            limit,
        };
        let encoding = headers
            .get(CONTENT_ENCODING)
            .map_or("identity", |value| value.to_str().unwrap_or("?"));
        let sink = match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Sink::Plain(capped),
            "gzip" | "x-gzip" => Sink::Gzip(Box::new(MultiGzDecoder::new(capped))),
            other => {
                let other = other.escape_debug();
                return Err(Fault::Broken(format!(
                    "the body is encoded as `{other}`, which was not asked for"
                )));
            }
        };
        Ok(Self {
            limit,
            received: 0,
            sink,
        })
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        self.received = self.received.saturating_add(chunk.len());
        if self.received > self.limit {
            return Err(Fault::TooLarge);
        }
        match &mut self.sink {
            Sink::Plain(capped) => capped.write_all(chunk),
            Sink::Gzip(decoder) => decoder.write_all(chunk),
        }
        .map_err(|error| fault(&error))
    }

    pub(super) fn finish(self) -> Result<Bytes, Fault> {
        let capped = match self.sink {
            Sink::Plain(capped) => capped,
            // An empty body is one of an answer that has none, whatever its headers say.
            Sink::Gzip(_) if self.received == 0 => return Ok(Bytes::new()),
            Sink::Gzip(decoder) => decoder.finish().map_err(|error| fault(&error))?,
        };
        Ok(capped.bytes.into())
    }
}

fn fault(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Fault::TooLarge,
        _ => Fault::Broken(format!("the body is not complete gzip: {error}")),
    }
}

struct Capped {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Capped {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        if chunk.len() > self.limit - self.bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn read(encoding: &'static str, limit: usize, bytes: &[u8], step: usize) -> Result<Bytes, Fault> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(encoding))]);
        let mut body = Body::new(&headers, limit)?;
        for chunk in bytes.chunks(step) {
            body.push(chunk)?;
        }
        body.finish()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_small_body_that_unpacks_to_a_large_one_is_refused() {
        let bomb = gzip(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert!(matches!(
            read("gzip", 1_000_000, &bomb, 4096),
            Err(Fault::TooLarge)
        ));
    }

    #[test]
    fn a_body_that_was_cut_or_is_something_else_is_broken() {
        let whole = gzip(b"hello");
        assert!(matches!(
            read("gzip", 100, &whole[..whole.len() - 1], 7),
            Err(Fault::Broken(_))
        ));
        assert!(matches!(read("gzip", 100, b"plain", 7), Err(Fault::Broken(_))));
        assert!(matches!(read("br", 100, b"plain", 7), Err(Fault::Broken(_))));
        assert_eq!(read("gzip", 100, b"", 7).unwrap(), Bytes::new());
    }

    proptest! {
        #[test]
        fn a_body_is_read_as_sent_up_to_its_limit(
            bytes in prop::collection::vec(any::<u8>(), 0..300), step in 1_usize..64, limit in 0_usize..400,
        ) {
            match read("identity", limit, &bytes, step) {
                Ok(read) => prop_assert!(read == bytes && bytes.len() <= limit),
                Err(fault) => prop_assert!(matches!(fault, Fault::TooLarge) && bytes.len() > limit),
            }
            prop_assert_eq!(read("gzip", 1_000, &gzip(&bytes), step).unwrap(), bytes);
        }
    }
}
