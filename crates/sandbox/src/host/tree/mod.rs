//! The files a module sees: `/in` (read-only) and `/out`, in memory.
//!
//! Nodes and entries are numbered in the order in which they were made and a
//! number is never used again, so that listings, cookies and inode numbers are
//! the same on every machine, and removing while listing skips nothing.
//!
//! Everything is in vectors: there are few nodes, and in the browser's wasm
//! each kind of B-tree takes 4 KB.

mod change;
mod rename;
mod resolve;

pub(super) use resolve::{Follow, Place};

use super::errno::filetype;
use grid_protocol::{Files, limits};

/// Where a node is in the tree; free for another once it is gone.
pub(super) type Id = usize;

/// The root of `/in`.
pub(super) const IN: Id = 0;
/// The root of `/out`.
pub(super) const OUT: Id = 1;

/// Names that may exist under `/out` at a time, so that with both streams a
/// list never holds more than [`limits::MAX_FILES`].
const MAX_NAMES: usize = limits::MAX_FILES - 2;

/// A file, directory or symbolic link.
#[derive(Debug)]
pub(super) struct Node {
    /// The inode number.
    pub(super) number: u64,
    /// Entries that name it: 0 once it was removed and only open descriptors
    /// hold it.
    links: u32,
    opens: u32,
    /// Access, modification, change: nanoseconds of the module's clock.
    pub(super) times: [u64; 3],
    pub(super) read_only: bool,
    pub(super) body: Body,
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Body {
    File(Vec<u8>),
    Directory(Directory),
    /// A symbolic link: a relative path.
    Link(String),
}

impl Body {
    /// An empty directory.
    pub(super) fn directory() -> Self {
        Self::Directory(Directory::default())
    }
}

/// A directory: where it is, its entries sorted by name, and their names in
/// order of making. Unlike a file it has one name only.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// Itself for the two roots, and for one that was removed.
    parent: Id,
    name: String,
    entries: Vec<Entry>,
    order: Vec<(u64, String)>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    id: Id,
    number: u64,
}

impl Directory {
    /// Where an entry is, or else would be.
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name))
    }

    fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(self.find(name).ok()?)
    }

    /// Where the names numbered `from` and later begin.
    fn later(&self, from: u64) -> usize {
        self.order.partition_point(|(number, _)| *number < from)
    }
}

impl Node {
    pub(super) fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory(_))
    }

    /// Its type as filestat and listings give it.
    pub(super) fn filetype(&self) -> u8 {
        match self.body {
            Body::File(_) => filetype::REGULAR_FILE,
            Body::Directory(_) => filetype::DIRECTORY,
            Body::Link(_) => filetype::SYMBOLIC_LINK,
        }
    }

    /// Bytes of a file or of a link's path; 0 for a directory.
    pub(super) fn size(&self) -> u64 {
        match &self.body {
            Body::File(bytes) => bytes.len() as u64,
            Body::Directory(_) => 0,
            Body::Link(path) => path.len() as u64,
        }
    }

    /// Entries that name it.
    pub(super) fn links(&self) -> u32 {
        self.links
    }

    /// How often its bytes count as output: once for each of its names, and
    /// once while it has none but is open.
    pub(super) fn copies(&self) -> u64 {
        self.links.max(1).into()
    }

    fn is_file(&self) -> bool {
        matches!(self.body, Body::File(_))
    }

    /// What one name of the node counts, the name's path apart.
    fn weight(&self) -> u64 {
        if self.is_file() { self.size() } else { 0 }
    }
}

/// Bytes of output held, against the limit: [`Files::size`] of what would be
/// the output now, plus files that were removed and are still open.
#[derive(Debug)]
pub(super) struct Quota {
    held: u64,
    limit: u64,
}

/// More output than the spec allows: ends the run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OverQuota;

impl Quota {
    pub(super) fn new(limit: u64) -> Self {
        Self { held: 0, limit }
    }

    pub(super) fn add(&mut self, bytes: u64) -> Result<(), OverQuota> {
        let held = self.held.checked_add(bytes).filter(|held| *held <= self.limit);
        self.held = held.ok_or(OverQuota)?;
        Ok(())
    }

    pub(super) fn remove(&mut self, bytes: u64) {
        self.held -= bytes;
    }

    /// Bytes that can still be written.
    pub(super) fn left(&self) -> u64 {
        self.limit - self.held
    }
}

/// Both trees.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Option<Node>>,
    /// Places of nodes that are gone.
    unused: Vec<Id>,
    /// The next number of a node or entry.
    next: u64,
    /// Names under `/out`, and nodes that lost theirs but are open.
    made: usize,
}

impl Tree {
    /// Both roots, and under `/in` the files of the input list.
    pub(super) fn new(input: impl Iterator<Item = (String, Vec<u8>)>) -> Self {
        let mut tree = Self { nodes: Vec::new(), unused: Vec::new(), next: 1, made: 0 };
        for (parent, read_only) in [(IN, true), (OUT, false)] {
            let root = Directory { parent, ..Directory::default() };
            let id = tree.place(Body::Directory(root), read_only, 0);
            tree.node_mut(id).links = 1;
        }
        for (path, bytes) in input {
            let Some(below) = path.strip_prefix("/in/") else { continue };
            let (folders, name) = below.rsplit_once('/').unwrap_or(("", below));
            let mut dir = IN;
            for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
                dir = match tree.child(dir, folder) {
                    Some(id) => id,
                    None => tree.insert(dir, folder, Body::directory(), 0),
                };
            }
            tree.insert(dir, name, Body::File(bytes), 0);
        }
        tree
    }

    /// Moves the files under `/out` into `output`, a file with several names
    /// under each. Symbolic links are no files: they are left out.
    pub(super) fn collect(mut self, output: &mut Files) {
        let mut folders = vec![(OUT, String::from("/out"))];
        while let Some((dir, path)) = folders.pop() {
            let Body::Directory(directory) = &mut self.node_mut(dir).body else { continue };
            for Entry { name, id, .. } in std::mem::take(&mut directory.entries) {
                let path = [&path, "/", &name].concat();
                let node = self.node_mut(id);
                node.links -= 1;
                let bytes = match &mut node.body {
                    Body::File(bytes) if node.links == 0 => std::mem::take(bytes),
                    Body::File(bytes) => bytes.clone(),
                    Body::Directory(_) => {
                        folders.push((id, path));
                        continue;
                    }
                    Body::Link(_) => continue,
                };
                output.insert(&path, bytes).expect("paths and numbers were checked when made");
            }
        }
    }

    /// A node that a descriptor or an entry names.
    pub(super) fn node(&self, id: Id) -> &Node {
        let node = self.nodes.get(id).and_then(Option::as_ref);
        node.expect("nodes live as long as entries and descriptors name them")
    }

    /// The same, to change it.
    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node {
        let node = self.nodes.get_mut(id).and_then(Option::as_mut);
        node.expect("nodes live as long as entries and descriptors name them")
    }

    fn directory(&self, id: Id) -> Option<&Directory> {
        match &self.node(id).body {
            Body::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    fn directory_mut(&mut self, id: Id) -> &mut Directory {
        match &mut self.node_mut(id).body {
            Body::Directory(directory) => directory,
            _ => unreachable!("a parent is a directory"),
        }
    }

    fn child(&self, dir: Id, name: &str) -> Option<Id> {
        Some(self.directory(dir)?.get(name)?.id)
    }

    /// Entries of a directory numbered `from` and later: number, name and
    /// node.
    pub(super) fn entries(&self, dir: Id, from: u64) -> impl Iterator<Item = (u64, &str, Id)> {
        self.directory(dir).into_iter().flat_map(move |directory| {
            directory.order[directory.later(from)..].iter().filter_map(|(number, name)| {
                Some((*number, name.as_str(), directory.get(name)?.id))
            })
        })
    }

    /// The directory above a directory; a root is its own.
    pub(super) fn parent(&self, dir: Id) -> Id {
        self.directory(dir).map_or(dir, |directory| directory.parent)
    }

    /// Names from a directory up to its root.
    fn names(&self, mut dir: Id) -> impl Iterator<Item = &str> {
        std::iter::from_fn(move || {
            let directory = self.directory(dir).filter(|directory| directory.parent != dir)?;
            dir = directory.parent;
            Some(directory.name.as_str())
        })
    }

    /// Directories from `dir` up to its root.
    pub(super) fn depth(&self, dir: Id) -> usize {
        self.names(dir).count()
    }

    /// Length of the whole path of an entry `name` of `dir`.
    fn path_len(&self, dir: Id, name: &str) -> usize {
        let above: usize = self.names(dir).map(|name| name.len() + 1).sum();
        "/out".len() + above + 1 + name.len()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn place(&mut self, body: Body, read_only: bool, now: u64) -> Id {
        let number = self.number();
        let node = Node { number, links: 0, opens: 0, times: [now; 3], read_only, body };
        let id = self.unused.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            self.nodes.len() - 1
        });
        self.nodes[id] = Some(node);
        id
    }

    fn insert(&mut self, dir: Id, name: &str, body: Body, now: u64) -> Id {
        let id = self.place(body, self.node(dir).read_only, now);
        self.attach(dir, name, id, now);
        id
    }

    /// Adds an entry where nothing stands.
    fn attach(&mut self, dir: Id, name: &str, id: Id, now: u64) {
        let number = self.number();
        let directory = self.directory_mut(dir);
        let at = directory.find(name).unwrap_or_else(|at| at);
        directory.entries.insert(at, Entry { name: name.to_owned(), id, number });
        directory.order.push((number, name.to_owned()));
        self.touch(dir, now);
        let node = self.node_mut(id);
        node.links += 1;
        node.times[2] = now;
        if let Body::Directory(directory) = &mut node.body {
            directory.parent = dir;
            name.clone_into(&mut directory.name);
        }
    }

    /// Takes an entry away.
    fn detach(&mut self, dir: Id, name: &str, now: u64) {
        let directory = self.directory_mut(dir);
        let Ok(at) = directory.find(name) else { return };
        let Entry { id, number, .. } = directory.entries.remove(at);
        directory.order.remove(directory.later(number));
        self.touch(dir, now);
        let node = self.node_mut(id);
        node.links -= 1;
        node.times[2] = now;
        if let Body::Directory(directory) = &mut node.body {
            directory.parent = id;
        }
    }

    /// Nodes that there is room for.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.nodes.len()
    }

    /// Notes a change of content.
    pub(super) fn touch(&mut self, id: Id, now: u64) {
        let times = &mut self.node_mut(id).times;
        times[1] = now;
        times[2] = now;
    }
}
