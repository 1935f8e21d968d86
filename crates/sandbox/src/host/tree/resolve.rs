//! From paths to places.

use super::{Body, Id, Tree};
use crate::host::errno::Errno;

/// Longest name of one path component.
const MAX_NAME: usize = 255;
/// Symbolic links followed on one way (MAXSYMLINKS of Linux).
const MAX_FOLLOWED: u32 = 40;

/// Where a path leads: an entry of a directory, or a directory itself.
#[derive(Debug)]
pub(in crate::host) struct Place {
    pub(in crate::host) dir: Id,
    /// None when the path names `dir` itself (`.`, `a/..`).
    pub(in crate::host) name: Option<String>,
    /// The path ends in a slash: only a directory will do.
    pub(in crate::host) slash: bool,
}

/// Whether a symbolic link at the end of a path is followed; those before its
/// end always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::host) enum Follow {
    Never,
    /// When the path ends in a slash.
    Slash,
    Always,
}

impl Tree {
    /// Walks `path` from the directory `start`; it never leads above it. Adds
    /// to `followed` the components of the links that it followed.
    pub(in crate::host) fn resolve(
        &self,
        start: Id,
        path: &str,
        follow: Follow,
        followed: &mut u64,
    ) -> Result<Place, Errno> {
        if path.is_empty() {
            return Err(Errno::Noent);
        }
        if path.starts_with('/') {
            return Err(Errno::Notcapable);
        }
        let mut dir = start;
        let mut links = 0;
        // What is still to be walked.
        let mut rest = path.to_owned();
        loop {
            let (part, later) = rest.split_once('/').unwrap_or((&rest, ""));
            let slash = part.len() < rest.len();
            let later = later.trim_start_matches('/');
            let last = later.is_empty();
            if part.len() > MAX_NAME {
                return Err(Errno::Nametoolong);
            }
            match part {
                "." => {}
                ".." if dir == start => return Err(Errno::Notcapable),
                ".." => dir = self.parent(dir),
                name => {
                    let child = self.child(dir, name);
                    let body = child.map(|id| &self.node(id).body);
                    let ends = match follow {
                        Follow::Never => last,
                        Follow::Slash => last && !slash,
                        Follow::Always => false,
                    };
                    match body {
                        Some(Body::Link(target)) if !ends => {
                            *followed += target.split('/').count() as u64;
                            links += 1;
                            if links > MAX_FOLLOWED {
                                return Err(Errno::Loop);
                            }
                            rest = [target.as_str(), if slash { "/" } else { "" }, later].concat();
                            continue;
                        }
                        _ if last => return Ok(Place { dir, name: Some(name.to_owned()), slash }),
                        Some(Body::Directory(_)) => dir = child.unwrap_or(dir),
                        Some(_) => return Err(Errno::Notdir),
                        None => return Err(Errno::Noent),
                    }
                }
            }
            if last {
                return Ok(Place { dir, name: None, slash });
            }
            rest = later.to_owned();
        }
    }

    /// What stands at a place; a symbolic link is what it is.
    pub(in crate::host) fn lookup(&self, place: &Place) -> Result<Id, Errno> {
        let Some(name) = &place.name else { return Ok(place.dir) };
        let id = self.child(place.dir, name).ok_or(Errno::Noent)?;
        if place.slash && !self.node(id).is_directory() {
            return Err(Errno::Notdir);
        }
        Ok(id)
    }
}
