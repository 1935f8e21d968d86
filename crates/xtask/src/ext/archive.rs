//! Packages as zip files, for stores and for whoever hosts them. The same
//! files make the same bytes: sorted, all of one time, deflated by one pinned
//! library without a trace of the processor.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

/// zlib's scale: the smallest.
const LEVEL: i64 = 9;
/// Anyone may read, its owner may write.
const MODE: u32 = 0o644;

/// A zip file of these files, by path.
pub(super) fn zip(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .system(System::Unix)
        .unix_permissions(MODE)
        // The first moment that a zip file can tell.
        .last_modified_time(DateTime::DEFAULT);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, contents) in files {
        writer.start_file(path.as_str(), options)?;
        writer.write_all(contents)?;
    }
    Ok(writer.finish().context("a zip file can't be made")?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::TemporaryFolder;
    use std::time::{Duration, UNIX_EPOCH};

    /// A package as it lies in a folder: written in this order, at this time.
    fn written(name: &str, order: &[&str], seconds: u64) -> BTreeMap<String, Vec<u8>> {
        let folder = TemporaryFolder::new(name).unwrap();
        for path in order {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, path.file_name().unwrap().as_encoded_bytes().repeat(50)).unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        }
        super::super::files::read(folder.path()).unwrap()
    }

    #[test]
    fn another_folder_order_and_time_make_the_same_bytes() {
        let first = written("zip-one", &["b.js", "a/c.png", "manifest.json"], 1_000_000_000);
        let second = written("zip-other", &["manifest.json", "a/c.png", "b.js"], 1_700_000_000);
        assert!(zip(&first).unwrap() == zip(&second).unwrap(), "the bytes differ");
    }

    /// The first bytes, and so all of the format, stay what they are: whoever
    /// builds it again compares with what a store has.
    #[test]
    fn golden() {
        let files = BTreeMap::from([("a.txt".to_owned(), b"aaaaaaaaaaaaaaaa".to_vec())]);
        let bytes = zip(&files).unwrap();
        let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hexadecimal,
            "504b030414000000080000002100d568d6cf050000001000000005000000612e747874\
             4b4c440500\
             504b0102140314000000080000002100d568d6cf05000000100000000500000000000000\
             00000000a48100000000612e747874\
             504b0506000000000100010033000000280000000000"
        );
    }

    #[test]
    fn entries_say_nothing_of_the_machine() {
        let bytes = zip(&written("zip-entries", &["z.js", "a/b.js"], 1_700_000_000)).unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let names: Vec<String> =
            archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["a/b.js", "z.js"]);
        for at in 0..archive.len() {
            let entry = archive.by_index(at).unwrap();
            assert_eq!(entry.last_modified(), Some(DateTime::DEFAULT));
            assert_eq!(entry.unix_mode().unwrap() & 0o777, MODE);
            assert_eq!(entry.compression(), CompressionMethod::Deflated);
        }
    }
}
