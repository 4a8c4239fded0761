//! A segment's payload: the frames of its events as one compressed block.

use super::Error;

/// Measured on audit rows: higher levels cost several times the time for a few per cent.
const LEVEL: i32 = 1;

/// The most bytes that a block may unpack to. A page of Zoom is read up to 32 MiB, and a segment holds at most one
/// page; what claims to be larger is damaged.
pub const MAX_BLOCK: usize = 64 << 20;

/// Compresses a block, part by part: one frame for each, so that nobody has to put the parts together. A checksum goes
/// with each, so that damage is found and never delivered.
///
/// # Errors
///
/// [`Error::Damaged`] where the block is larger than [`MAX_BLOCK`], or memory is short.
pub fn compress(parts: &[&[u8]]) -> Result<Vec<u8>, Error> {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    if size > MAX_BLOCK {
        return Err(Error::Damaged(format!(
            "a segment of {size} bytes is larger than any page"
        )));
    }
    let compress = || {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
        let mut payload = Vec::new();
        for part in parts {
            let frame = compressor.compress(part)?;
            if payload.is_empty() {
                payload = frame;
            } else {
                payload.extend_from_slice(&frame);
            }
        }
        Ok(payload)
    };
    compress()
        .map_err(|error: std::io::Error| Error::Damaged(format!("a segment cannot be compressed: {error}")))
}

/// Unpacks a segment's payload, all parts as one.
///
/// # Errors
///
/// [`Error::Damaged`] where it is not what [`compress`] made, or unpacks to more than `cap` bytes.
pub fn decompress(payload: &[u8], cap: usize) -> Result<Vec<u8>, Error> {
    // What the frames say of their size is what memory is taken for, and no more: most blocks are far below the cap.
    let size = said(payload).map_or(cap, |size| size.min(cap));
    zstd::bulk::decompress(payload, size)
        .map_err(|error| Error::Damaged(format!("a segment cannot be unpacked: {error}")))
}

/// How many bytes a payload's frames say that they unpack to, together.
fn said(mut payload: &[u8]) -> Option<usize> {
    let mut said = 0_usize;
    while !payload.is_empty() {
        let size = zstd::zstd_safe::get_frame_content_size(payload).ok()??;
        said = said.checked_add(usize::try_from(size).ok()?)?;
        let taken = zstd::zstd_safe::find_frame_compressed_size(payload).ok()?;
        payload = payload.get(taken..)?;
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_block_is_read_back_as_written(parts in prop::collection::vec(any::<Vec<u8>>(), 0..4)) {
            let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let payload = compress(&borrowed).unwrap();
            prop_assert_eq!(decompress(&payload, MAX_BLOCK).unwrap(), parts.concat());
            prop_assert_eq!(said(&payload), Some(parts.concat().len()));
        }

        #[test]
        fn a_damaged_block_is_refused(frames in prop::collection::vec(any::<u8>(), 1..200), at: usize, bit in 0..8_u8) {
            let (rows, heads) = frames.split_at(frames.len() / 2);
            let mut payload = compress(&[rows, heads]).unwrap();
            let at = at % payload.len();
            payload[at] ^= 1 << bit;
            if let Ok(read) = decompress(&payload, MAX_BLOCK) {
                prop_assert_eq!(read, frames);
            }
        }
    }

    #[test]
    fn a_block_that_unpacks_to_more_than_the_cap_is_refused() {
        let payload = compress(&[&vec![7; 1_000_000]]).unwrap();
        assert!(payload.len() < 1_000);
        assert!(decompress(&payload, 999_999).is_err());
        assert!(decompress(&payload, 1_000_000).is_ok());
    }
}
