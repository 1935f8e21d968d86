//! The files a module sees: `/in` (read-only) and `/out`, in memory.
//!
//! Nodes are numbered in the order in which they were made and a number is
//! never used again, so that listings, cookies and inode numbers are the same
//! on every machine, and removing while listing skips nothing.

mod rename;

use super::errno::Errno;
use grid_protocol::{Files, limits};
use std::collections::{BTreeMap, BTreeSet};

/// Number of a node.
pub(super) type Ino = u64;

/// The root of `/in`.
pub(super) const IN: Ino = 1;
/// The root of `/out`.
pub(super) const OUT: Ino = 2;

/// Files and directories that may exist under `/out` at a time, so that with
/// both streams a list never holds more than [`limits::MAX_FILES`].
const MAX_NODES: usize = limits::MAX_FILES - 2;
/// Longest name of one path component.
const MAX_NAME: usize = 255;

/// A file or directory.
#[derive(Debug)]
pub(super) struct Node {
    parent: Ino,
    /// Empty for the two roots.
    name: String,
    /// False once it was removed and only open descriptors hold it.
    linked: bool,
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
}

/// A directory's entries, by name and in order of making.
#[derive(Debug, Default)]
pub(super) struct Directory {
    names: BTreeMap<String, Ino>,
    order: BTreeSet<Ino>,
}

impl Node {
    pub(super) fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory(_))
    }

    /// Bytes of a file; 0 for a directory.
    pub(super) fn size(&self) -> u64 {
        match &self.body {
            Body::File(bytes) => bytes.len() as u64,
            Body::Directory(_) => 0,
        }
    }
}

/// Where a path leads: an entry of a directory, or a directory itself.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: Ino,
    /// None when the path names `dir` itself (`.`, `a/..`).
    pub(super) name: Option<String>,
    /// The path ends in a slash: only a directory will do.
    pub(super) slash: bool,
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
}

/// Both trees.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<Ino, Node>,
    next: Ino,
    /// Nodes under `/out`, removed but open ones included.
    made: usize,
}

impl Tree {
    /// Both roots, and under `/in` the files of the input list.
    pub(super) fn new(input: impl Iterator<Item = (String, Vec<u8>)>) -> Self {
        let mut tree = Self { nodes: BTreeMap::new(), next: OUT + 1, made: 0 };
        for (ino, read_only) in [(IN, true), (OUT, false)] {
            let body = Body::Directory(Directory::default());
            let times = [0; 3];
            let name = String::new();
            let root = Node { parent: ino, name, linked: true, opens: 0, times, read_only, body };
            tree.nodes.insert(ino, root);
        }
        for (path, bytes) in input {
            let Some(below) = path.strip_prefix("/in/") else { continue };
            let (folders, name) = below.rsplit_once('/').unwrap_or(("", below));
            let mut dir = IN;
            for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
                dir = match tree.child(dir, folder) {
                    Some(ino) => ino,
                    None => tree.insert(dir, folder, Body::Directory(Directory::default()), 0),
                };
            }
            tree.insert(dir, name, Body::File(bytes), 0);
        }
        tree
    }

    /// Moves everything under `/out` into `output`.
    pub(super) fn collect(mut self, output: &mut Files) {
        let paths: Vec<(Ino, String)> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.linked && !node.read_only && !node.is_directory())
            .map(|(ino, _)| (*ino, self.path(*ino)))
            .collect();
        for (ino, path) in paths {
            if let Some(Node { body: Body::File(bytes), .. }) = self.nodes.remove(&ino) {
                output.insert(&path, bytes).expect("paths and numbers were checked when made");
            }
        }
    }

    /// A node that a descriptor or an entry names.
    pub(super) fn node(&self, ino: Ino) -> &Node {
        self.nodes.get(&ino).expect("nodes live as long as entries and descriptors name them")
    }

    /// The same, to change it.
    pub(super) fn node_mut(&mut self, ino: Ino) -> &mut Node {
        self.nodes.get_mut(&ino).expect("nodes live as long as entries and descriptors name them")
    }

    fn directory(&self, ino: Ino) -> Option<&Directory> {
        match &self.node(ino).body {
            Body::Directory(directory) => Some(directory),
            Body::File(_) => None,
        }
    }

    fn directory_mut(&mut self, ino: Ino) -> &mut Directory {
        match &mut self.node_mut(ino).body {
            Body::Directory(directory) => directory,
            Body::File(_) => unreachable!("a parent is a directory"),
        }
    }

    fn child(&self, dir: Ino, name: &str) -> Option<Ino> {
        self.directory(dir)?.names.get(name).copied()
    }

    /// Entries of a directory after the one numbered `after`.
    pub(super) fn entries(&self, dir: Ino, after: Ino) -> impl Iterator<Item = (Ino, &Node)> {
        let order = self.directory(dir).map(|directory| directory.order.range(after + 1..));
        order.into_iter().flatten().map(|ino| (*ino, self.node(*ino)))
    }

    /// The directory above; a root is its own.
    pub(super) fn parent(&self, ino: Ino) -> Ino {
        self.node(ino).parent
    }

    /// Names from the root down to `ino`.
    fn names(&self, mut ino: Ino) -> Vec<&str> {
        let mut names = Vec::new();
        while self.node(ino).parent != ino {
            names.push(self.node(ino).name.as_str());
            ino = self.node(ino).parent;
        }
        names.reverse();
        names
    }

    /// Whole path of a node under `/out`.
    fn path(&self, ino: Ino) -> String {
        let mut path = String::from("/out");
        for name in self.names(ino) {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    /// Length of the whole path of an entry `name` of `dir`.
    fn path_len(&self, dir: Ino, name: &str) -> usize {
        let above: usize = self.names(dir).iter().map(|name| name.len() + 1).sum();
        "/out".len() + above + 1 + name.len()
    }

    /// Walks `path` from the directory `start`; it never leads above it.
    pub(super) fn resolve(&self, start: Ino, path: &str) -> Result<Place, Errno> {
        if path.is_empty() {
            return Err(Errno::Noent);
        }
        if path.starts_with('/') {
            return Err(Errno::Notcapable);
        }
        let mut walked = vec![start];
        let mut dir = start;
        let mut name: Option<&str> = None;
        let mut slash = false;
        for part in path.split('/') {
            if part.is_empty() {
                slash = true;
                continue;
            }
            if part.len() > MAX_NAME {
                return Err(Errno::Nametoolong);
            }
            if let Some(folder) = name.take() {
                dir = self.child(dir, folder).ok_or(Errno::Noent)?;
                if !self.node(dir).is_directory() {
                    return Err(Errno::Notdir);
                }
                walked.push(dir);
            }
            slash = false;
            match part {
                "." => {}
                ".." => {
                    walked.pop();
                    dir = *walked.last().ok_or(Errno::Notcapable)?;
                }
                _ => name = Some(part),
            }
        }
        Ok(Place { dir, name: name.map(str::to_owned), slash })
    }

    /// What stands at a place.
    pub(super) fn lookup(&self, place: &Place) -> Result<Ino, Errno> {
        let Some(name) = &place.name else { return Ok(place.dir) };
        let ino = self.child(place.dir, name).ok_or(Errno::Noent)?;
        if place.slash && !self.node(ino).is_directory() {
            return Err(Errno::Notdir);
        }
        Ok(ino)
    }

    fn insert(&mut self, parent: Ino, name: &str, body: Body, now: u64) -> Ino {
        let ino = self.next;
        self.next += 1;
        let read_only = self.node(parent).read_only;
        let name = name.to_owned();
        let node = Node { parent, name, linked: true, opens: 0, times: [now; 3], read_only, body };
        self.nodes.insert(ino, node);
        self.attach(ino, now);
        ino
    }

    fn attach(&mut self, ino: Ino, now: u64) {
        let (parent, name) = (self.node(ino).parent, self.node(ino).name.clone());
        let directory = self.directory_mut(parent);
        directory.names.insert(name, ino);
        directory.order.insert(ino);
        self.touch(parent, now);
    }

    fn detach(&mut self, ino: Ino, now: u64) {
        let (parent, name) = (self.node(ino).parent, self.node(ino).name.clone());
        let directory = self.directory_mut(parent);
        directory.names.remove(&name);
        directory.order.remove(&ino);
        self.touch(parent, now);
    }

    /// Notes a change of content.
    pub(super) fn touch(&mut self, ino: Ino, now: u64) {
        let times = &mut self.node_mut(ino).times;
        times[1] = now;
        times[2] = now;
    }

    /// Makes a file or directory where nothing stands. The outer error ends
    /// the run, the inner goes to the module.
    pub(super) fn create(
        &mut self,
        place: &Place,
        body: Body,
        quota: &mut Quota,
        now: u64,
    ) -> Result<Result<Ino, Errno>, OverQuota> {
        let Some(name) = &place.name else { return Ok(Err(Errno::Exist)) };
        let parent = self.node(place.dir);
        if parent.read_only {
            return Ok(Err(Errno::Rofs));
        }
        if !parent.linked {
            return Ok(Err(Errno::Noent));
        }
        if self.made >= MAX_NODES {
            return Ok(Err(Errno::Nospc));
        }
        let path = self.path_len(place.dir, name);
        if path > limits::MAX_PATH {
            return Ok(Err(Errno::Nametoolong));
        }
        if matches!(body, Body::File(_)) {
            quota.add(path as u64)?;
        }
        self.made += 1;
        Ok(Ok(self.insert(place.dir, name, body, now)))
    }

    /// Counts a descriptor of the node.
    pub(super) fn open(&mut self, ino: Ino) {
        self.node_mut(ino).opens += 1;
    }

    /// Counts a descriptor less; a removed node goes with its last one.
    pub(super) fn close(&mut self, ino: Ino, quota: &mut Quota) {
        self.node_mut(ino).opens -= 1;
        self.drop_if_unused(ino, quota);
    }

    fn drop_if_unused(&mut self, ino: Ino, quota: &mut Quota) {
        let node = self.node(ino);
        if !node.linked && node.opens == 0 {
            quota.remove(node.size());
            self.nodes.remove(&ino);
            self.made -= 1;
        }
    }

    /// Removes an entry. The caller checked that it may go.
    fn unlink(&mut self, ino: Ino, quota: &mut Quota, now: u64) {
        let node = self.node(ino);
        if !node.is_directory() {
            quota.remove(self.path_len(node.parent, &node.name) as u64);
        }
        self.detach(ino, now);
        self.node_mut(ino).linked = false;
        self.drop_if_unused(ino, quota);
    }

    /// `path_unlink_file`
    pub(super) fn unlink_file(
        &mut self,
        place: &Place,
        quota: &mut Quota,
        now: u64,
    ) -> Result<(), Errno> {
        let ino = self.lookup(place)?;
        if self.node(ino).is_directory() {
            return Err(Errno::Isdir);
        }
        if self.node(ino).read_only {
            return Err(Errno::Rofs);
        }
        self.unlink(ino, quota, now);
        Ok(())
    }

    /// `path_remove_directory`
    pub(super) fn remove_directory(
        &mut self,
        place: &Place,
        quota: &mut Quota,
        now: u64,
    ) -> Result<(), Errno> {
        let ino = self.lookup(place)?;
        if place.name.is_none() {
            return Err(Errno::Inval);
        }
        let directory = self.directory(ino).ok_or(Errno::Notdir)?;
        if self.node(ino).read_only {
            return Err(Errno::Rofs);
        }
        if !directory.names.is_empty() {
            return Err(Errno::Notempty);
        }
        self.unlink(ino, quota, now);
        Ok(())
    }

    /// Directories from `ino` up to its root.
    pub(super) fn depth(&self, ino: Ino) -> usize {
        if self.node(ino).linked { self.names(ino).len() } else { 0 }
    }

    /// Name of a node, as its directory lists it.
    pub(super) fn name(&self, ino: Ino) -> &str {
        &self.node(ino).name
    }
}
