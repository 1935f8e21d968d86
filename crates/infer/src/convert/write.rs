//! Writing a model file: tensors are packed one by one into the data, then the
//! header is put before it.

use super::config::{self, JsonFiles, Settings};
use super::source::Source;
use super::{ConvertError, Gguf, Safetensors, families, pack};
use crate::file::{BLOCK, Header, HeaderError, MAGIC, MAX_HEADER, PREFIX, Span};
use grid_protocol::Digest;
use serde_json::Value as Json;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Largest safetensors file that is read into memory.
const MAX_SAFETENSORS: u64 = 4 << 30;
/// Largest JSON file beside it.
const MAX_JSON: u64 = 64 << 20;

/// How far a conversion is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The tensor that is packed next.
    pub tensor: &'a str,
    /// Tensors done.
    pub done: usize,
    /// Tensors in all.
    pub total: usize,
}

fn file_error(what: &'static str, path: &Path) -> impl Fn(io::Error) -> ConvertError {
    move |source| ConvertError::File { what, path: path.to_owned(), source }
}

/// Converts a GGUF file, or a folder with safetensors and its JSON files, to a
/// model file. `output` is replaced when all of it is written; until then
/// there is a `.part` file beside it.
///
/// # Errors
/// The input can't be converted, or a file can't be read or written.
pub fn convert(
    input: &Path,
    output: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Header, ConvertError> {
    let read = file_error("read", input);
    let folder = match input.extension().is_some_and(|ending| ending == "safetensors") {
        true => input.parent().unwrap_or(Path::new(".")),
        false => input,
    };
    if folder.join("model.safetensors").is_file() {
        let (settings, mut source) = open_folder(folder)?;
        return write(&settings, &mut source, output, progress);
    }
    if !input.is_file() || !begins_with(input, b"GGUF").map_err(&read)? {
        return match fs::metadata(input) {
            Ok(_) => Err(ConvertError::Unknown(input.to_owned())),
            Err(error) => Err(read(error)),
        };
    }
    let mut source = Gguf::open(File::open(input).map_err(&read)?)?;
    let settings = config::of_gguf(source.metadata())?;
    write(&settings, &mut source, output, progress)
}

fn begins_with(path: &Path, magic: &[u8]) -> io::Result<bool> {
    let mut first = Vec::new();
    File::open(path)?.take(magic.len() as u64).read_to_end(&mut first)?;
    Ok(first == magic)
}

/// Whether a file begins as model files do.
///
/// # Errors
/// It can't be read.
pub fn is_model_file(path: &Path) -> io::Result<bool> {
    begins_with(path, &MAGIC)
}

/// Reads a model file's header, and leaves the reader where the data begins.
///
/// # Errors
/// The outer error is the reader's; the inner one says what is wrong with the
/// header.
pub fn read_header(reader: &mut (impl Read + Seek)) -> io::Result<Result<Header, HeaderError>> {
    let mut bytes = Vec::new();
    reader.by_ref().take(PREFIX as u64).read_to_end(&mut bytes)?;
    let length = match Header::length(&bytes) {
        Ok(length) => length,
        Err(error) => return Ok(Err(error)),
    };
    reader.by_ref().take((length - PREFIX) as u64).read_to_end(&mut bytes)?;
    reader.seek(SeekFrom::Start(Header::data_begins(length)))?;
    Ok(Header::decode(&bytes))
}

fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, ConvertError> {
    let error = file_error("read", path);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(&error)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(&error)?;
    if bytes.len() as u64 > limit {
        return Err(error(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    Ok(bytes)
}

fn read_json(folder: &Path, file: &'static str) -> Result<Json, ConvertError> {
    let bytes = read_file(&folder.join(file), MAX_JSON)?;
    let parsed = serde_json::from_slice(&bytes);
    parsed.map_err(|error| ConvertError::Json { file, why: error.to_string() })
}

fn open_folder(folder: &Path) -> Result<(Settings, Safetensors), ConvertError> {
    let optional = |file: &'static str| {
        folder.join(file).is_file().then(|| read_json(folder, file)).transpose()
    };
    let config = read_json(folder, "config.json")?;
    let tokenizer = read_json(folder, "tokenizer.json")?;
    let modules = optional("modules.json")?;
    let pooling = optional("1_Pooling/config.json")?;
    let sentence = optional("sentence_bert_config.json")?;
    let files = JsonFiles {
        config: &config,
        tokenizer: &tokenizer,
        modules: modules.as_ref(),
        pooling: pooling.as_ref(),
        sentence: sentence.as_ref(),
    };
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = absolute.file_name().unwrap_or_default().to_string_lossy();
    // The folder of a package is often just called `model`.
    let name = config["_name_or_path"].as_str().filter(|name| !name.is_empty()).unwrap_or(&name);
    let settings = config::of_json(name, &files)?;
    let bytes = read_file(&folder.join("model.safetensors"), MAX_SAFETENSORS)?;
    Ok((settings, Safetensors::open(bytes, families::bert_name)?))
}

/// The data of a model as it grows.
struct Data<W> {
    out: W,
    length: u64,
    /// The bytes of the block that isn't full.
    block: Vec<u8>,
    digests: Vec<Digest>,
}

impl<W: Write> Data<W> {
    /// Appends a part, aligned.
    fn put(&mut self, bytes: &[u8]) -> io::Result<Span> {
        let offset = crate::file::aligned(self.length);
        let zeros = [0; crate::file::ALIGN as usize];
        self.append(&zeros[..(offset - self.length) as usize])?;
        self.append(bytes)?;
        Ok(Span { offset, length: bytes.len() as u64 })
    }

    fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = BLOCK as usize - self.block.len();
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.block.extend_from_slice(now);
            bytes = rest;
            if self.block.len() as u64 == BLOCK {
                self.digests.push(Digest::of(&self.block));
                self.block.clear();
            }
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<(u64, Vec<Digest>)> {
        if !self.block.is_empty() {
            self.digests.push(Digest::of(&self.block));
        }
        self.out.flush()?;
        Ok((self.length, self.digests))
    }
}

fn write(
    settings: &Settings,
    source: &mut dyn Source,
    output: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Header, ConvertError> {
    let beside = |ending: &str| {
        let mut name = output.file_name().unwrap_or_default().to_owned();
        name.push(ending);
        output.with_file_name(name)
    };
    let (data, part) = (beside(".data.part"), beside(".part"));
    let made = write_parts(settings, source, &data, progress).and_then(|header| {
        let error = file_error("write", &part);
        let copy = || {
            let mut out = File::create(&part)?;
            let mut bytes = header.encode();
            bytes.resize(Header::data_begins(bytes.len()) as usize, 0);
            out.write_all(&bytes)?;
            io::copy(&mut File::open(&data)?, &mut out)?;
            out.sync_all()
        };
        copy().map_err(error)?;
        fs::rename(&part, output).map_err(file_error("write", output))?;
        Ok(header)
    });
    // Of no use once the file is there, or when it can't be.
    let _ = fs::remove_file(&data);
    if made.is_err() {
        let _ = fs::remove_file(&part);
    }
    made
}

fn write_parts(
    settings: &Settings,
    source: &mut dyn Source,
    path: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Header, ConvertError> {
    families::check(settings.family, &settings.parameters, source.tensors())?;
    let error = file_error("write", path);
    let out = io::BufWriter::new(File::create(path).map_err(&error)?);
    let mut data = Data { out, length: 0, block: Vec::new(), digests: Vec::new() };
    // First what every use of the model needs.
    let tokenizer = data.put(&settings.tokenizer.encode()).map_err(&error)?;
    let plan = pack::plan(settings, source.tensors());
    let mut tensors = Vec::with_capacity(plan.len());
    for (done, part) in plan.iter().enumerate() {
        progress(Progress { tensor: part.name(), done, total: plan.len() });
        let (mut entry, bytes) = part.pack(settings, source)?;
        entry.span = data.put(&bytes).map_err(&error)?;
        tensors.push(entry);
    }
    let (length, blocks) = data.finish().map_err(&error)?;
    let header = Header {
        name: settings.name.clone(),
        licence: settings.licence.clone(),
        family: settings.family,
        parameters: settings.parameters.clone(),
        tensors,
        tokenizer,
        length,
        blocks,
    };
    header.check()?;
    if header.encode().len() > MAX_HEADER {
        return Err(HeaderError::TooLarge.into());
    }
    Ok(header)
}
