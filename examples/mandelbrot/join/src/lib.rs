//! Joins the tiles of a picture. A tile is a binary PPM (`P6`, 8 bits) with a
//! comment that says where it belongs: `# tile LEFT TOP of WIDTH HEIGHT`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The name of the files that are tiles.
pub const TILE_NAME: &str = "tile.ppm";
/// Largest side of a picture, in pixels: the module's own bound.
pub const MAX_SIDE: u32 = 65536;
/// Most pixels of a picture that is joined in memory (768 MiB).
pub const MAX_PIXELS: u64 = 1 << 28;

/// Why tiles can't be joined.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// A file or folder can't be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No file of the name [`TILE_NAME`].
    #[error("no {TILE_NAME} in {0} or below it; it should be the folder of a job's results")]
    None(PathBuf),
    /// Not a tile.
    #[error("{path}: not a tile: {problem}")]
    Tile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Tiles of pictures that differ in size.
    #[error("{0} belongs to a picture of another size than the first tile")]
    OtherPicture(PathBuf),
    /// A pixel is in two tiles.
    #[error("{0} covers pixel {1}, {2}, which another tile covers as well")]
    Overlap(PathBuf, u32, u32),
    /// A pixel is in no tile.
    #[error("no tile covers pixel {0}, {1}: a result is missing")]
    Gap(u32, u32),
    /// The PNG can't be written.
    #[error("writing the picture: {0}")]
    Png(#[from] png::EncodingError),
}

/// A picture of RGB pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Rows from the top, three bytes (red, green, blue) for each pixel.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// Writes the picture as a PNG.
    ///
    /// # Errors
    /// [`JoinError::Png`] when `output` can't be written.
    pub fn write_png(&self, output: impl io::Write) -> Result<(), JoinError> {
        let mut encoder = png::Encoder::new(output, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        Ok(writer.finish()?)
    }
}

/// A tile and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tile {
    left: u32,
    top: u32,
    picture: (u32, u32),
    part: Picture,
}

/// Joins all tiles in a folder and the folders below it.
///
/// # Errors
/// See [`JoinError`]: each pixel must be in exactly one tile.
pub fn join(folder: &Path) -> Result<Picture, JoinError> {
    let mut paths = Vec::new();
    find(folder, &mut paths)?;
    paths.sort();
    let mut joined: Option<Joined> = None;
    for path in paths {
        let bytes = fs::read(&path).map_err(|source| read_error(&path, source))?;
        let tile =
            parse(&bytes).map_err(|problem| JoinError::Tile { path: path.clone(), problem })?;
        joined.get_or_insert_with(|| Joined::new(tile.picture)).add(&tile, &path)?;
    }
    joined.ok_or_else(|| JoinError::None(folder.into()))?.finish()
}

fn read_error(path: &Path, source: io::Error) -> JoinError {
    JoinError::Read { path: path.into(), source }
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), JoinError> {
    let error = |source| read_error(folder, source);
    for entry in fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        if entry.file_type().map_err(error)?.is_dir() {
            find(&entry.path(), found)?;
        } else if entry.file_name() == TILE_NAME {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// A picture while tiles are added.
struct Joined {
    picture: Picture,
    /// For each pixel, whether a tile covered it.
    covered: Vec<bool>,
}

impl Joined {
    fn new((width, height): (u32, u32)) -> Self {
        let area = width as usize * height as usize;
        let picture = Picture { width, height, pixels: vec![0; area * 3] };
        Self { picture, covered: vec![false; area] }
    }

    fn add(&mut self, tile: &Tile, path: &Path) -> Result<(), JoinError> {
        if tile.picture != (self.picture.width, self.picture.height) {
            return Err(JoinError::OtherPicture(path.into()));
        }
        let rows = tile.part.pixels.chunks_exact(tile.part.width as usize * 3);
        for (y, row) in (tile.top..).zip(rows) {
            let start = y as usize * self.picture.width as usize + tile.left as usize;
            let end = start + tile.part.width as usize;
            if let Some(x) = self.covered[start..end].iter().position(|covered| *covered) {
                return Err(JoinError::Overlap(path.into(), tile.left + x as u32, y));
            }
            self.covered[start..end].fill(true);
            self.picture.pixels[start * 3..end * 3].copy_from_slice(row);
        }
        Ok(())
    }

    fn finish(self) -> Result<Picture, JoinError> {
        match self.covered.iter().position(|covered| !covered) {
            None => Ok(self.picture),
            Some(at) => {
                let width = self.picture.width as usize;
                Err(JoinError::Gap((at % width) as u32, (at / width) as u32))
            }
        }
    }
}

/// Reads the four lines of a tile's head, then its pixels. What a node wrote
/// may be anything: sizes are checked against the bytes there are.
fn parse(bytes: &[u8]) -> Result<Tile, &'static str> {
    let mut rest = bytes;
    let mut line = || {
        let end = rest.iter().take(80).position(|byte| *byte == b'\n').ok_or("its head is cut")?;
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| "its head is no text")?;
        rest = &rest[end + 1..];
        Ok::<_, &str>(line)
    };
    if line()? != "P6" {
        return Err("it doesn't begin with P6");
    }
    const PLACE: &str = "its second line isn't `# tile LEFT TOP of WIDTH HEIGHT`";
    let place = line()?.strip_prefix("# tile ").ok_or(PLACE)?;
    let (place, picture) = place.split_once(" of ").ok_or(PLACE)?;
    let (left, top) = pair(place).ok_or(PLACE)?;
    let picture = pair(picture).ok_or(PLACE)?;
    let (width, height) = pair(line()?).ok_or("its third line isn't `WIDTH HEIGHT`")?;
    if line()? != "255" {
        return Err("its fourth line isn't `255`");
    }
    let area = u64::from(picture.0) * u64::from(picture.1);
    if picture.0 > MAX_SIDE || picture.1 > MAX_SIDE || area > MAX_PIXELS {
        return Err("its picture is too large");
    }
    let within = |start: u32, length: u32, all: u32| {
        length > 0 && start.checked_add(length).is_some_and(|end| end <= all)
    };
    if !within(left, width, picture.0) || !within(top, height, picture.1) {
        return Err("it lies outside its picture");
    }
    if rest.len() as u64 != u64::from(width) * u64::from(height) * 3 {
        return Err("its pixels are cut, or something follows them");
    }
    Ok(Tile { left, top, picture, part: Picture { width, height, pixels: rest.to_vec() } })
}

fn pair(text: &str) -> Option<(u32, u32)> {
    let (first, second) = text.split_once(' ')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(place: &str, size: &str, pixels: &[u8]) -> Vec<u8> {
        let mut bytes = format!("P6\n# tile {place}\n{size}\n255\n").into_bytes();
        bytes.extend_from_slice(pixels);
        bytes
    }

    fn joined(tiles: &[Vec<u8>]) -> Result<Picture, String> {
        let folder = tempfile::tempdir().unwrap();
        for (at, bytes) in tiles.iter().enumerate() {
            let out = folder.path().join(format!("{at}/out"));
            fs::create_dir_all(&out).unwrap();
            fs::write(out.join(TILE_NAME), bytes).unwrap();
        }
        join(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn tiles_come_together() {
        let right = tile("1 0 of 2 2", "1 2", &[4, 5, 6, 10, 11, 12]);
        let left = [tile("0 1 of 2 2", "1 1", &[7, 8, 9]), tile("0 0 of 2 2", "1 1", &[1, 2, 3])];
        let [below, above] = left;
        let picture = joined(&[right, below, above]).unwrap();
        assert_eq!((picture.width, picture.height), (2, 2));
        assert_eq!(picture.pixels, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let mut png = Vec::new();
        picture.write_png(&mut png).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; 12];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, picture.pixels);
    }

    #[test]
    fn tiles_that_do_not_fit() {
        let check = |tiles: &[Vec<u8>], expect: &str| {
            let error = joined(tiles).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        let left = tile("0 0 of 2 1", "1 1", b"abc");
        check(&[], "no tile.ppm in ");
        check(std::slice::from_ref(&left), "no tile covers pixel 1, 0");
        check(&[left.clone(), tile("0 0 of 2 1", "2 1", b"abcdef")], "covers pixel 0, 0");
        check(&[left, tile("1 0 of 2 2", "1 1", b"abc")], "another size");
    }

    #[test]
    fn bytes_that_are_no_tile() {
        let check = |bytes: &[u8], expect: &str| {
            assert_eq!(parse(bytes).unwrap_err(), expect, "{:?}", String::from_utf8_lossy(bytes));
        };
        check(b"", "its head is cut");
        check(b"P5\n", "it doesn't begin with P6");
        check(&[b'P'; 200], "its head is cut");
        check(b"P6\n# tile 1 2 3 4\n", "its second line isn't `# tile LEFT TOP of WIDTH HEIGHT`");
        check(b"P6\n\xff\n", "its head is no text");
        check(&tile("0 0 of 1 1", "1", b""), "its third line isn't `WIDTH HEIGHT`");
        check(&tile("0 0 of 1 1", "1 1", b"ab"), "its pixels are cut, or something follows them");
        check(&tile("0 0 of 1 1", "1 1", b"abcd"), "its pixels are cut, or something follows them");
        check(&tile("0 0 of 1 1", "0 1", b""), "it lies outside its picture");
        check(&tile("4294967295 0 of 1 1", "2 1", b"abcdef"), "it lies outside its picture");
        check(&tile("0 0 of 65537 1", "1 1", b"abc"), "its picture is too large");
        check(&tile("0 0 of 65536 65536", "1 1", b"abc"), "its picture is too large");
        check(b"P6\n# tile 0 0 of 1 1\n1 1\n65535\nabcdef", "its fourth line isn't `255`");
    }
}
