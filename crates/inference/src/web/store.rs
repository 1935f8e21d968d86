//! Models on the device, in the origin's private file system, and an index.
//! Blocks that are missing or damaged don't have their digest, so nothing else
//! needs to be noted of a download that was broken off. Where there is no such
//! file system, a model is in memory while it is being loaded, and is not kept.
//!
//! In a worker a model is one file, laid out as model files are
//! (docs/model-file.md). A service worker can't write into the middle of a
//! file: there it is a folder, and each part that was written is a file.

use super::words;
use crate::shelf::{Shelf, TooLarge};
use grid_contexts::messages::{self, Model};
use grid_protocol::Digest;
use js_sys::{ArrayBuffer, Promise, Reflect, Uint8Array};
use std::cell::RefCell;
use std::collections::BTreeMap;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemRemoveOptions,
    FileSystemSyncAccessHandle, FileSystemWritableFileStream,
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
    Parts(Parts),
    Memory(Vec<u8>),
}

/// An open file. Nobody else can open it until it is dropped.
pub(crate) struct File(FileSystemSyncAccessHandle);

/// A folder of files, each named by its offset.
pub(crate) struct Parts {
    folder: FileSystemDirectoryHandle,
    /// The length of each part that was seen, by its offset.
    lengths: RefCell<BTreeMap<u64, u64>>,
}

async fn done<T: JsCast>(promise: Promise) -> Result<T, String> {
    JsFuture::from(promise).await.map(T::unchecked_from_js).map_err(|error| words(&error))
}

/// Whether files can be opened as a worker does: nothing else can.
fn opens_files() -> bool {
    let field = |of: &JsValue, name: &str| Reflect::get(of, &name.into()).unwrap_or_default();
    let handle = field(&js_sys::global(), "FileSystemFileHandle");
    field(&field(&handle, "prototype"), "createSyncAccessHandle").is_function()
}

async fn open_file(folder: &FileSystemDirectoryHandle, name: &str) -> Result<File, String> {
    Ok(File(done(file_handle(folder, name, true).await?.create_sync_access_handle()).await?))
}

async fn file_handle(
    folder: &FileSystemDirectoryHandle,
    name: &str,
    create: bool,
) -> Result<FileSystemFileHandle, String> {
    let options = FileSystemGetFileOptions::new();
    options.set_create(create);
    done(folder.get_file_handle_with_options(name, &options)).await
}

async fn open_folder(
    parent: &FileSystemDirectoryHandle,
    name: &str,
) -> Result<FileSystemDirectoryHandle, String> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    done(parent.get_directory_handle_with_options(name, &options)).await
}

/// A whole file, unless it is longer.
async fn read_file(
    folder: &FileSystemDirectoryHandle,
    name: &str,
    most: usize,
) -> Result<Vec<u8>, String> {
    let file: web_sys::File = done(file_handle(folder, name, false).await?.get_file()).await?;
    if file.size() > most as f64 {
        return Err(format!("{name} is longer than {most} bytes"));
    }
    let buffer: ArrayBuffer = done(file.array_buffer()).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// Writes a whole file: all of it, or nothing.
async fn write_file(
    folder: &FileSystemDirectoryHandle,
    name: &str,
    bytes: &[u8],
) -> Result<(), String> {
    let file = file_handle(folder, name, true).await?;
    let stream: FileSystemWritableFileStream = done(file.create_writable()).await?;
    // A copy: the stream reads it later.
    let writing = stream.write_with_js_u8_array(&Uint8Array::from(bytes));
    done::<JsValue>(writing.map_err(|error| words(&error))?).await?;
    done::<JsValue>(stream.close()).await.map(drop)
}

impl Store {
    /// Opens it. Its owner may have emptied it since the last time.
    pub(crate) async fn open() -> Self {
        let Ok(folder) = Self::folder().await else {
            return Self { folder: None, shelf: Shelf::default() };
        };
        let index = read_file(&folder, INDEX, MAX_INDEX).await.ok();
        let shelf = index.and_then(|bytes| messages::decode(&bytes)).unwrap_or_default();
        Self { folder: Some(folder), shelf }
    }

    async fn folder() -> Result<FileSystemDirectoryHandle, String> {
        let root = private_files().await.map_err(|error| words(&error))?;
        open_folder(&root.unchecked_into(), FOLDER).await
    }

    /// Makes room for a model and opens what is there of it.
    pub(crate) async fn place(
        &mut self,
        digest: Digest,
        name: &str,
        bytes: u64,
        quota: u64,
    ) -> Result<Place, PlaceError> {
        if self.folder.is_none() {
            return Ok(Place::Memory(Vec::new()));
        }
        for evicted in self.shelf.make_room(digest, name, bytes, quota)? {
            self.delete(evicted).await;
        }
        self.save().await.map_err(PlaceError::Device)?;
        let place = self.existing(digest).await.map_err(PlaceError::Device)?;
        Ok(place.unwrap_or_else(|| Place::Memory(Vec::new())))
    }

    async fn existing(&self, digest: Digest) -> Result<Option<Place>, String> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let name = digest.to_string();
        Ok(Some(match opens_files() {
            true => Place::File(open_file(folder, &name).await?),
            false => {
                let (folder, lengths) = (open_folder(folder, &name).await?, RefCell::default());
                Place::Parts(Parts { folder, lengths })
            }
        }))
    }

    /// What is kept of a model from its beginning, where its header is.
    pub(crate) async fn header(&self, digest: Digest, most: usize) -> Option<Vec<u8>> {
        if !self.shelf.entries.iter().any(|entry| entry.digest == digest) {
            return None;
        }
        match self.existing(digest).await.ok()?? {
            Place::File(file) => file.read_at(0, file.size().min(most)),
            Place::Parts(parts) => read_file(&parts.folder, "0", most).await.ok(),
            Place::Memory(_) => None,
        }
    }

    /// Notes whether all of a model is there.
    pub(crate) async fn set_whole(&mut self, digest: Digest, whole: bool) -> Result<(), String> {
        self.shelf.set_whole(digest, whole);
        self.save().await
    }

    /// Deletes what is there of a model.
    pub(crate) async fn remove(&mut self, digest: Digest) {
        self.delete(digest).await;
        self.shelf.remove(digest);
        let _ = self.save().await;
    }

    async fn delete(&self, digest: Digest) {
        let Some(folder) = &self.folder else { return };
        let options = FileSystemRemoveOptions::new();
        options.set_recursive(true);
        let removed = folder.remove_entry_with_options(&digest.to_string(), &options);
        let _ = JsFuture::from(removed).await;
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
        write_file(folder, INDEX, &messages::encode(&self.shelf)).await
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

impl Parts {
    /// Bytes of one part, or of several that follow each other; what was asked
    /// for from its beginning is a part, or isn't there.
    async fn read_at(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        let end = offset.checked_add(length as u64)?;
        let first = self.lengths.borrow().range(..=offset).next_back().map(|(at, len)| (*at, *len));
        let covers = first.is_some_and(|(at, len)| offset < at + len);
        let mut at = if covers { first?.0 } else { offset };
        let mut bytes = Vec::with_capacity(length);
        while at < end {
            let known = self.lengths.borrow().get(&at).copied();
            let most = known.unwrap_or(end - at);
            let part = read_file(&self.folder, &at.to_string(), usize::try_from(most).ok()?).await;
            let part = part.ok().filter(|part| part.len() as u64 == most && most > 0)?;
            self.lengths.borrow_mut().insert(at, most);
            let from = offset.saturating_sub(at) as usize;
            let to = part.len().min((end - at) as usize);
            bytes.extend_from_slice(part.get(from..to)?);
            at += most;
        }
        Some(bytes)
    }

    async fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), String> {
        write_file(&self.folder, &offset.to_string(), bytes).await?;
        self.lengths.borrow_mut().insert(offset, bytes.len() as u64);
        Ok(())
    }
}

impl Place {
    /// Exactly so many bytes, where they are there.
    pub(crate) async fn read(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        match self {
            Self::File(file) => file.read_at(offset, length),
            Self::Parts(parts) => parts.read_at(offset, length).await,
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).ok()?;
                bytes.get(start..start.checked_add(length)?).map(<[u8]>::to_vec)
            }
        }
    }

    /// Writes; what lies before is there already.
    pub(crate) async fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::File(file) => file.write_at(offset, bytes),
            Self::Parts(parts) => parts.write_at(offset, bytes).await,
            Self::Memory(memory) => {
                let start = offset as usize;
                memory.resize(memory.len().max(start + bytes.len()), 0);
                memory[start..start + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
        }
    }
}
