//! Models on the device, in the origin's private file system: one file each,
//! laid out as model files are (docs/model-file.md), and an index. Blocks that
//! are missing or damaged don't have their digest, so nothing else needs to be
//! noted of a download that was broken off. Where there is no such file
//! system, a model is in memory while it is being loaded, and is not kept.

use super::words;
use crate::shelf::{Shelf, TooLarge};
use grid_contexts::messages::{self, Model};
use grid_protocol::Digest;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemSyncAccessHandle,
};

/// The folder, and the index in it.
const FOLDER: &str = "models";
const INDEX: &str = "index";
/// Largest index that is read, in bytes.
const MAX_INDEX: usize = 1 << 20;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = ["navigator", "storage"], js_name = getDirectory, catch)]
    async fn private_files() -> Result<JsValue, JsValue>;
}

/// The folder of models.
pub(crate) struct Store {
    folder: Option<FileSystemDirectoryHandle>,
    shelf: Shelf,
}

/// Where one model's bytes are, until it is dropped.
pub(crate) enum Place {
    File(File),
    Memory(Vec<u8>),
}

/// An open file. Nobody else can open it until it is dropped.
pub(crate) struct File(FileSystemSyncAccessHandle);

async fn done<T: JsCast>(promise: Promise) -> Result<T, String> {
    JsFuture::from(promise).await.map(T::unchecked_from_js).map_err(|error| words(&error))
}

async fn open_file(folder: &FileSystemDirectoryHandle, name: &str) -> Result<File, String> {
    let options = FileSystemGetFileOptions::new();
    options.set_create(true);
    let file: FileSystemFileHandle =
        done(folder.get_file_handle_with_options(name, &options)).await?;
    Ok(File(done(file.create_sync_access_handle()).await?))
}

impl Store {
    /// Opens it. Its owner may have emptied it since the last time.
    pub(crate) async fn open() -> Self {
        let Ok(folder) = Self::folder().await else {
            return Self { folder: None, shelf: Shelf::default() };
        };
        let index = match open_file(&folder, INDEX).await {
            Ok(file) => file.read_at(0, file.size().min(MAX_INDEX)),
            Err(_) => None,
        };
        let shelf = index.and_then(|bytes| messages::decode(&bytes)).unwrap_or_default();
        Self { folder: Some(folder), shelf }
    }

    async fn folder() -> Result<FileSystemDirectoryHandle, String> {
        let root = private_files().await.map_err(|error| words(&error))?;
        let root: FileSystemDirectoryHandle = root.unchecked_into();
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(true);
        done(root.get_directory_handle_with_options(FOLDER, &options)).await
    }

    /// Makes room for a model and opens its file.
    pub(crate) async fn place(
        &mut self,
        digest: Digest,
        name: &str,
        bytes: u64,
        quota: u64,
    ) -> Result<Place, PlaceError> {
        let Some(folder) = &self.folder else {
            return Ok(Place::Memory(Vec::new()));
        };
        for evicted in self.shelf.make_room(digest, name, bytes, quota)? {
            let _ = JsFuture::from(folder.remove_entry(&evicted.to_string())).await;
        }
        self.save().await.map_err(PlaceError::Device)?;
        let file = open_file(folder, &digest.to_string()).await.map_err(PlaceError::Device)?;
        Ok(Place::File(file))
    }

    /// The header that is kept of a model, as it is there.
    pub(crate) async fn header(&self, digest: Digest, most: usize) -> Option<Vec<u8>> {
        let known = self.shelf.entries.iter().any(|entry| entry.digest == digest);
        let folder = self.folder.as_ref().filter(|_| known)?;
        let file = open_file(folder, &digest.to_string()).await.ok()?;
        file.read_at(0, file.size().min(most))
    }

    /// Notes whether all of a model is there.
    pub(crate) async fn set_whole(&mut self, digest: Digest, whole: bool) -> Result<(), String> {
        self.shelf.set_whole(digest, whole);
        self.save().await
    }

    /// Deletes what is there of a model.
    pub(crate) async fn remove(&mut self, digest: Digest) {
        if let Some(folder) = &self.folder {
            let _ = JsFuture::from(folder.remove_entry(&digest.to_string())).await;
        }
        self.shelf.remove(digest);
        let _ = self.save().await;
    }

    /// The models that are there whole.
    pub(crate) fn models(&self) -> Vec<Model> {
        let whole = self.shelf.entries.iter().filter(|entry| entry.whole);
        whole
            .map(|entry| Model {
                digest: entry.digest,
                name: entry.name.clone(),
                bytes: entry.bytes,
            })
            .collect()
    }

    async fn save(&self) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let file = open_file(folder, INDEX).await?;
        let bytes = messages::encode(&self.shelf);
        file.0.truncate_with_u32(bytes.len() as u32).map_err(|error| words(&error))?;
        file.write_at(0, &bytes)
    }
}

/// Why a model can't be put anywhere.
pub(crate) enum PlaceError {
    Quota(TooLarge),
    Device(String),
}

impl From<TooLarge> for PlaceError {
    fn from(error: TooLarge) -> Self {
        Self::Quota(error)
    }
}

fn at(offset: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at_f64(offset as f64);
    options
}

impl File {
    fn size(&self) -> usize {
        self.0.get_size().map_or(0, |size| size as usize)
    }

    fn read_at(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = self.0.read_with_u8_array_and_options(&mut bytes, &at(offset)).ok()?;
        (read == length as f64).then_some(bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), String> {
        let written = self.0.write_with_u8_array_and_options(bytes, &at(offset));
        match written.map_err(|error| words(&error))? == bytes.len() as f64 {
            true => Ok(()),
            false => Err("the device's storage is full".into()),
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = self.0.flush();
        self.0.close();
    }
}

impl Place {
    /// Exactly so many bytes, where they are there.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        match self {
            Self::File(file) => file.read_at(offset, length),
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).ok()?;
                bytes.get(start..start.checked_add(length)?).map(<[u8]>::to_vec)
            }
        }
    }

    /// Writes; what lies before is there already.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::File(file) => file.write_at(offset, bytes),
            Self::Memory(memory) => {
                let start = offset as usize;
                memory.resize(memory.len().max(start + bytes.len()), 0);
                memory[start..start + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
        }
    }
}
