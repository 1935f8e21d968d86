//! From a digest to a model that runs: what is missing is fetched, every block
//! is checked, whether it comes from the relay or from the device.

use super::device::Engine;
use super::fetch::Source;
use super::store::{Place, PlaceError, Store};
use super::worker::Worker;
use grid_contexts::messages::{FromInference, Loading};
use grid_contexts::wait::performance_now;
use grid_infer::file::{Header, MAX_HEADER};
use grid_protocol::{Digest, GiveBackReason, LeaseId};
use std::cell::Cell;
use std::collections::VecDeque;

/// Blocks that are on their way at a time.
const AHEAD: usize = 3;
/// How often it is said how far a model is, in milliseconds.
const TELL_MS: f64 = 100.0;

/// Why a lease goes back.
pub(crate) struct Failure(pub(crate) GiveBackReason, pub(crate) String);

impl Failure {
    pub(crate) fn stopped() -> Self {
        Self(GiveBackReason::Stopped, "the run was stopped".into())
    }
}

fn fetch(why: String) -> Failure {
    Failure(GiveBackReason::Fetch, why)
}

fn device(why: String) -> Failure {
    Failure(GiveBackReason::Device, why)
}

/// A model on its way.
struct Arrival<'a> {
    worker: &'a Worker,
    lease: LeaseId,
    header: &'a Header,
    /// Where in the file the data begins.
    begins: u64,
    place: Place,
    /// Bytes of data that are there.
    bytes: u64,
    told: f64,
}

/// Loads a model.
pub(crate) async fn load(
    worker: &Worker,
    lease: LeaseId,
    source: &Source,
    quota: u64,
    gpu: bool,
) -> Result<Engine, Failure> {
    let mut store = Store::open().await;
    let digest = source.model;
    let (bytes, header) = header(&store, source).await?;
    let begins = Header::data_begins(bytes.len());
    let placed = store.place(digest, &header.name, begins + header.length, quota).await;
    let mut place = placed.map_err(|error| match error {
        PlaceError::Quota(error) => Failure(GiveBackReason::Unable, error.to_string()),
        PlaceError::Device(why) => device(why),
    })?;
    // Models that had to make room are gone.
    worker.say(&FromInference::Models(store.models()));
    let mut front = bytes;
    front.resize(begins as usize, 0);
    place.write(0, &front).await.map_err(device)?;
    let mut arrival =
        Arrival { worker, lease, header: &header, begins, place, bytes: 0, told: f64::MIN };
    let complete = arrival.complete(source).await;
    let whole = complete.is_ok();
    // What came before a failure is kept for the next attempt.
    store.set_whole(digest, whole).await.map_err(device)?;
    worker.say(&FromInference::Models(store.models()));
    complete?;
    let place = arrival.place;
    let stopped = Cell::new(false);
    // The time that a tensor takes is a slice, as a layer is.
    let read = async |span: grid_infer::file::Span| {
        stopped.set(!worker.step().await);
        let length = usize::try_from(span.length).ok().filter(|_| !stopped.get())?;
        let bytes = place.read(begins.checked_add(span.offset)?, length).await;
        worker.begin_slice();
        bytes
    };
    worker.begin_slice();
    let opened = worker.devices.open(gpu, &header, read).await;
    drop(place);
    match opened {
        _ if stopped.get() => Err(Failure::stopped()),
        Ok(engine) => Ok(engine),
        Err(error) => {
            store.remove(digest).await;
            worker.say(&FromInference::Models(store.models()));
            Err(Failure(GiveBackReason::Unable, error))
        }
    }
}

/// The header: the one that is kept, or else the relay's.
async fn header(store: &Store, source: &Source) -> Result<(Vec<u8>, Header), Failure> {
    if let Some(mut bytes) = store.header(source.model, MAX_HEADER).await
        && let Ok(length) = Header::length(&bytes)
        && length <= bytes.len()
    {
        bytes.truncate(length);
        if Digest::of(&bytes) == source.model
            && let Ok(header) = Header::decode(&bytes)
        {
            return Ok((bytes, header));
        }
    }
    let bytes = source.header(MAX_HEADER).await.map_err(fetch)?;
    if Digest::of(&bytes) != source.model {
        return Err(fetch("the model's header has another digest".into()));
    }
    let header = Header::decode(&bytes).map_err(|error| fetch(error.to_string()))?;
    Ok((bytes, header))
}

impl Arrival<'_> {
    /// Has every block there, checked.
    async fn complete(&mut self, source: &Source) -> Result<(), Failure> {
        let mut missing = VecDeque::new();
        for number in 0..self.header.blocks.len() {
            let Some(block) = self.header.block(number) else { continue };
            let (at, length) = (self.begins + block.span.offset, block.span.length as usize);
            let kept = self.place.read(at, length).await;
            self.worker.begin_slice();
            match kept.is_some_and(|bytes| block.check(&bytes).is_ok()) {
                true => self.here(block.span.length).await?,
                false => missing.push_back((number, block)),
            }
        }
        let mut coming = VecDeque::new();
        loop {
            while coming.len() < AHEAD
                && let Some((number, block)) = missing.pop_front()
            {
                coming.push_back((number, block, source.block(number, block.span.length as usize)));
            }
            let Some((number, block, transfer)) = coming.pop_front() else { return Ok(()) };
            let bytes = transfer.arrived().await.map_err(fetch)?;
            self.worker.begin_slice();
            block.check(&bytes).map_err(|error| fetch(format!("block {number}: {error}")))?;
            self.place.write(self.begins + block.span.offset, &bytes).await.map_err(device)?;
            self.here(block.span.length).await?;
        }
    }

    /// More is there: says so, and rests as other work does.
    async fn here(&mut self, bytes: u64) -> Result<(), Failure> {
        self.bytes += bytes;
        let now = performance_now();
        let all = self.bytes >= self.header.length;
        if now - self.told >= TELL_MS || all {
            self.told = now;
            let (name, total) = (self.header.name.clone(), self.header.length);
            let loading = Loading { name, bytes: self.bytes, total };
            self.worker.say(&FromInference::Loading(self.lease, loading));
        }
        match self.worker.step().await {
            true => Ok(()),
            false => Err(Failure::stopped()),
        }
    }
}
