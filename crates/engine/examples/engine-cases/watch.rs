//! Ends the program when a module runs without end: then its fuel is not
//! counted somewhere, and nothing else would say which module it was.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A module whose fuel is counted ends within this time.
const HANGS: Duration = Duration::from_secs(60);

/// What runs, and since when.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Mutex<(String, Instant)>>);

impl Watch {
    /// Starts to watch.
    pub(crate) fn start() -> Self {
        let watch = Self(Arc::new(Mutex::new((String::new(), Instant::now()))));
        let watched = watch.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::park_timeout(HANGS / 20);
                let running = watched.0.lock().unwrap_or_else(PoisonError::into_inner);
                if running.1.elapsed() > HANGS {
                    eprintln!("{} runs without end in wasmtime", running.0);
                    std::process::exit(1);
                }
            }
        });
        watch
    }

    /// Something else runs now.
    pub(crate) fn runs(&self, name: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (name.into(), Instant::now());
    }
}
