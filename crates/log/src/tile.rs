//! Tiles and entry bundles as C2SP tlog-tiles lays them out: their paths and
//! their bytes. Tiles are 256 hashes wide (height 8).

use crate::{Hash, MAX_SIZE, tree};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use thiserror::Error;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// The longest entry, in bytes: its length is a u16.
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// The largest full bundle, in bytes (16 MiB and 512 bytes).
pub const MAX_BUNDLE: usize = TILE_WIDTH as usize * (2 + MAX_ENTRY);

/// The highest level that a path may name.
const MAX_LEVEL: u8 = 63;

/// Why a path, a tile or a bundle is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TileError {
    /// The text is not the one path of a tile.
    #[error("not the path of a tile")]
    Path,
    /// The bytes are not as many hashes or entries as the tile is wide.
    #[error("the tile is not {expected} wide")]
    Width {
        /// How many there should be.
        expected: u16,
    },
    /// An entry is longer than 65,535 bytes, or there are more than 256.
    #[error("an entry or a bundle is too large")]
    TooLarge,
}

impl TileError {
    /// A code that stays the same between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Path => "tile_path",
            Self::Width { .. } => "tile_width",
            Self::TooLarge => "bundle_too_large",
        }
    }
}

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileLevel {
    /// The entries themselves.
    Entries,
    /// Hashes of this level of tiles, 0 to 63: 0 has the leaf hashes.
    Hashes(u8),
}

/// Names a tile: `tile/0/x001/234`, `tile/1/000.p/17`, `tile/entries/000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    level: TileLevel,
    index: u64,
    width: u16,
}

impl TilePath {
    /// A tile of hashes. `width` is 1 to 256; less than 256 names the
    /// incomplete tile.
    pub fn hashes(level: u8, index: u64, width: u16) -> Self {
        debug_assert!(level <= MAX_LEVEL && index < MAX_SIZE && (1..=TILE_WIDTH).contains(&width));
        Self { level: TileLevel::Hashes(level), index, width }
    }

    /// A bundle of entries.
    pub fn entries(index: u64, width: u16) -> Self {
        debug_assert!(index < MAX_SIZE && (1..=TILE_WIDTH).contains(&width));
        Self { level: TileLevel::Entries, index, width }
    }

    /// What the tile holds.
    pub fn level(self) -> TileLevel {
        self.level
    }

    /// Index in the level, from 0.
    pub fn index(self) -> u64 {
        self.index
    }

    /// Number of hashes or entries, 1 to 256.
    pub fn width(self) -> u16 {
        self.width
    }

    /// Has it all its 256 hashes or entries, so that it never changes?
    pub fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full tile in the place of this one: what to ask for when the
    /// incomplete one is gone.
    pub fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// All tiles of hashes that a tree of `new` leaves has and one of `old`
    /// leaves had not, level by level; an incomplete tile that grew is listed.
    /// What a tree of n leaves needs is `new_hashes(0, n)`.
    pub fn new_hashes(old: u64, new: u64) -> impl Iterator<Item = Self> {
        let levels = (0u8..8).take_while(move |level| tree::nodes(new, *level) > 0);
        levels.flat_map(move |level| {
            let nodes = tree::nodes(old, level)..tree::nodes(new, level);
            widths(nodes).map(move |(index, width)| Self::hashes(level, index, width))
        })
    }

    /// All bundles that hold the entries `old..new` of a log of `new` entries.
    pub fn new_entries(old: u64, new: u64) -> impl Iterator<Item = Self> {
        widths(old..new).map(|(index, width)| Self::entries(index, width))
    }
}

/// Index and width of the tiles in which nodes were added.
fn widths(added: Range<u64>) -> impl Iterator<Item = (u64, u16)> {
    let width = u64::from(TILE_WIDTH);
    let tiles =
        if added.is_empty() { 0..0 } else { added.start / width..added.end.div_ceil(width) };
    tiles.map(move |index| (index, (added.end - index * width).min(width) as u16))
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/")?;
        match self.level {
            TileLevel::Entries => f.write_str("entries")?,
            TileLevel::Hashes(level) => write!(f, "{level}")?,
        }
        // Six groups of three digits hold every index below 2^53.
        let groups = (1..6).rev().map(|group| self.index / 1000u64.pow(group));
        for group in groups.skip_while(|group| *group == 0) {
            write!(f, "/x{:03}", group % 1000)?;
        }
        write!(f, "/{:03}", self.index % 1000)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl FromStr for TilePath {
    type Err = TileError;

    /// Accepts exactly what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, TileError> {
        let rest = text.strip_prefix("tile/").ok_or(TileError::Path)?;
        let (level, rest) = rest.split_once('/').ok_or(TileError::Path)?;
        let level = match level {
            "entries" => TileLevel::Entries,
            level => TileLevel::Hashes(decimal(level).ok_or(TileError::Path)? as u8),
        };
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => (groups, decimal(width).ok_or(TileError::Path)?),
            None => (rest, u64::from(TILE_WIDTH)),
        };
        let mut index = 0u64;
        for group in groups.split('/').take(7) {
            let digits = group.strip_prefix('x').unwrap_or(group);
            if digits.len() != 3 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                return Err(TileError::Path);
            }
            // At most 21 digits: the bound comes before the next group.
            index = digits.bytes().fold(index, |index, digit| index * 10 + u64::from(digit - b'0'));
            if index >= MAX_SIZE {
                return Err(TileError::Path);
            }
        }
        let level_fits = !matches!(level, TileLevel::Hashes(level) if level > MAX_LEVEL);
        if !level_fits || !(1..=u64::from(TILE_WIDTH)).contains(&width) {
            return Err(TileError::Path);
        }
        // One path, one text: whatever else was wrong shows in a difference.
        let path = Self { level, index, width: width as u16 };
        if path.to_string() == text { Ok(path) } else { Err(TileError::Path) }
    }
}

/// A decimal number of up to three digits without leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let sound = (1..=3).contains(&text.len())
        && text.bytes().all(|digit| digit.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    if sound { text.parse().ok() } else { None }
}

/// The bytes of a tile of hashes: 32 for each.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Reads a tile of exactly `width` hashes.
pub fn decode_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() != usize::from(width) || !rest.is_empty() {
        return Err(TileError::Width { expected: width });
    }
    Ok(hashes.iter().copied().map(Hash).collect())
}

/// The bytes of a bundle: each entry after its length as a big-endian u16. At
/// most 256 entries of at most [`MAX_ENTRY`] bytes.
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, TileError> {
    if entries.len() > usize::from(TILE_WIDTH) {
        return Err(TileError::TooLarge);
    }
    let mut out = Vec::with_capacity(entries.iter().map(|entry| 2 + entry.as_ref().len()).sum());
    for entry in entries.iter().map(AsRef::as_ref) {
        let length = u16::try_from(entry.len()).map_err(|_| TileError::TooLarge)?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(entry);
    }
    Ok(out)
}

/// Reads a bundle of exactly `width` entries, with nothing after them.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let wrong = TileError::Width { expected: width };
    let mut entries = Vec::new();
    let mut rest = bytes;
    for _ in 0..width {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(wrong.clone())?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or(wrong.clone())?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(wrong) }
}
