//! Several files as one, for people to keep: ZIP (APPNOTE 6.3.10) with what is
//! stored as it is. Outputs are mostly small or compressed already.

/// Bytes that one archive may come to: what fits without ZIP64, and a page.
pub const MOST: usize = 1 << 30;

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    files: u16,
}

impl Zip {
    /// Adds a file. False when there is no more room: the archive is as before.
    #[must_use]
    pub fn add(&mut self, name: &str, content: &[u8]) -> bool {
        let size = self.bytes.len() + self.directory.len() + content.len() + 2 * name.len() + 128;
        if size > MOST || name.len() > usize::from(u16::MAX) || self.files == u16::MAX {
            return false;
        }
        let (offset, length) = (self.bytes.len() as u32, content.len() as u32);
        // Version 2.0; names are UTF-8 (bit 11); stored; 1980-01-01.
        let mut common = Vec::with_capacity(26);
        for field in [20_u16, 1 << 11, 0, 0, (1 << 5) | 1] {
            common.extend(field.to_le_bytes());
        }
        for field in [crc32(content), length, length] {
            common.extend(field.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(&common);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(content);
        self.directory.extend(b"PK\x01\x02\x14\x00");
        self.directory.extend(&common);
        // No comment, disk 0, no attributes.
        self.directory.extend([0; 10]);
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.files += 1;
        true
    }

    /// The archive.
    pub fn finish(mut self) -> Vec<u8> {
        let (start, length) = (self.bytes.len() as u32, self.directory.len() as u32);
        self.bytes.append(&mut self.directory);
        self.bytes.extend(b"PK\x05\x06\x00\x00\x00\x00");
        self.bytes.extend(self.files.to_le_bytes());
        self.bytes.extend(self.files.to_le_bytes());
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(start.to_le_bytes());
        self.bytes.extend([0; 2]);
        self.bytes
    }
}

/// CRC-32 of ISO 3309, as ZIP has it.
fn crc32(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|byte| {
        (0..8).fold(byte as u32, |crc, _| (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1)))
    });
    !bytes
        .iter()
        .fold(!0, |crc, byte| (crc >> 8) ^ table[((crc ^ u32::from(*byte)) & 255) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn an_archive_is_laid_out_as_specified() {
        let mut zip = Zip::default();
        assert!(zip.add("a.txt", b"hello"));
        assert!(zip.add("ü/b", b""));
        let bytes = zip.finish();
        let end = bytes.len() - 22;
        assert_eq!(&bytes[end..end + 4], b"PK\x05\x06");
        assert_eq!(&bytes[end + 8..end + 12], [2, 0, 2, 0]);
        let at = u32::from_le_bytes(bytes[end + 16..end + 20].try_into().unwrap()) as usize;
        // First the two files: 30 bytes, name, content.
        assert_eq!(at, 30 + 5 + 5 + 30 + 4);
        assert_eq!(&bytes[30..40], b"a.txthello");
        assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
        assert_eq!(&bytes[at + 46..at + 51], b"a.txt");
        assert_eq!(end - at, 46 + 5 + 46 + 4);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut zip = Zip::default();
        assert!(!zip.add(&"x".repeat(70_000), b""));
        for n in 0..65_535 {
            assert!(zip.add(&n.to_string(), b""));
        }
        assert!(!zip.add("one more", b""));
    }
}
