//! A segment's payload: the frames of its events as one compressed block.

use super::Error;

/// Measured on audit rows: higher levels cost several times the time for a few per cent.
const LEVEL: i32 = 1;

/// The most bytes that a block may unpack to. A page of Zoom is read up to 32 MiB, and a segment holds at most one
/// page; what claims to be larger is damaged.
pub const MAX_BLOCK: usize = 64 << 20;

/// Compresses the frames of one segment. A checksum goes with them, so that damage is found and never delivered.
///
/// # Errors
///
/// [`Error::Damaged`] where the block is larger than [`MAX_BLOCK`], or memory is short.
pub fn compress(frames: &[u8]) -> Result<Vec<u8>, Error> {
    if frames.len() > MAX_BLOCK {
        return Err(Error::Damaged(format!(
            "a segment of {} bytes is larger than any page",
            frames.len()
        )));
    }
    let compress = || {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
        compressor.compress(frames)
    };
    compress()
        .map_err(|error: std::io::Error| Error::Damaged(format!("a segment cannot be compressed: {error}")))
}

/// Unpacks a segment's payload into its frames.
///
/// # Errors
///
/// [`Error::Damaged`] where it is not what [`compress`] made, or unpacks to more than `cap` bytes.
pub fn decompress(payload: &[u8], cap: usize) -> Result<Vec<u8>, Error> {
    // What a frame says of its size is what memory is taken for, and no more: most blocks are far below the cap.
    let said = zstd::zstd_safe::get_frame_content_size(payload).ok().flatten();
    let size = said.and_then(|size| usize::try_from(size).ok());
    zstd::bulk::decompress(payload, size.map_or(cap, |size| size.min(cap)))
        .map_err(|error| Error::Damaged(format!("a segment cannot be unpacked: {error}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_block_is_read_back_as_written(frames: Vec<u8>) {
            let payload = compress(&frames).unwrap();
            prop_assert_eq!(decompress(&payload, MAX_BLOCK).unwrap(), frames);
        }

        #[test]
        fn a_damaged_block_is_refused(frames in prop::collection::vec(any::<u8>(), 1..200), at: usize, bit in 0..8_u8) {
            let mut payload = compress(&frames).unwrap();
            let at = at % payload.len();
            payload[at] ^= 1 << bit;
            if let Ok(read) = decompress(&payload, MAX_BLOCK) {
                prop_assert_eq!(read, frames);
            }
        }
    }

    #[test]
    fn a_block_that_unpacks_to_more_than_the_cap_is_refused() {
        let payload = compress(&vec![7; 1_000_000]).unwrap();
        assert!(payload.len() < 1_000);
        assert!(decompress(&payload, 999_999).is_err());
        assert!(decompress(&payload, 1_000_000).is_ok());
    }
}
