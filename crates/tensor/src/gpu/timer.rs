//! Times that the device takes itself (timestamp-query), of one submission after the other.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::pace::Pace;

/// Passes of a submission that are measured; a pass ends where something is copied.
const PASSES: u32 = 16;
const BYTES: u64 = PASSES as u64 * 16;

/// Measures a submission unless the one before is still being read.
pub(super) struct Timer {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    mapped: wgpu::Buffer,
    /// Nanoseconds of a step.
    period: f64,
    /// Passes of this submission, and those of them that write times.
    seen: Cell<u32>,
    passes: Cell<u32>,
    busy: Arc<AtomicBool>,
}

impl Timer {
    pub(super) fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Self {
        let buffer = |usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("times"),
                size: BYTES,
                usage,
                mapped_at_creation: false,
            })
        };
        Self {
            queries: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("times"),
                ty: wgpu::QueryType::Timestamp,
                count: PASSES * 2,
            }),
            resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            mapped: buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ),
            period: f64::from(queue.get_timestamp_period()),
            seen: Cell::new(0),
            passes: Cell::new(0),
            busy: Arc::default(),
        }
    }

    /// What a new pass writes.
    pub(super) fn begin_pass(&self) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let pass = self.seen.get();
        self.seen.set(pass + 1);
        // All passes of a submission, or none.
        if pass >= PASSES || pass != self.passes.get() || self.busy.load(Ordering::Acquire) {
            return None;
        }
        self.passes.set(pass + 1);
        Some(wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * pass),
            end_of_pass_write_index: Some(2 * pass + 1),
        })
    }

    /// Ends a submission; whether [`Timer::read`] has something to read after it.
    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) -> bool {
        let passes = self.passes.get();
        if self.seen.replace(0) != passes || passes == 0 {
            self.passes.set(0);
            return false;
        }
        encoder.resolve_query_set(&self.queries, 0..2 * passes, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.mapped, 0, BYTES);
        true
    }

    /// Tells the pace what the submission took, once it is known.
    pub(super) fn read(&self, pace: Pace, work: f64) {
        self.busy.store(true, Ordering::Release);
        let passes = self.passes.replace(0) as usize;
        let (buffer, busy, period) = (self.mapped.clone(), self.busy.clone(), self.period);
        self.mapped.map_async(wgpu::MapMode::Read, .., move |result| {
            if result.is_ok() {
                if let Ok(view) = buffer.get_mapped_range(..) {
                    let mut words = view
                        .chunks_exact(8)
                        .map(|b| b.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)));
                    let mut steps = 0_u64;
                    for _ in 0..passes {
                        let (begin, end) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
                        steps += end.saturating_sub(begin);
                    }
                    pace.measured(work, steps as f64 * period / 1e6);
                }
                buffer.unmap();
            }
            busy.store(false, Ordering::Release);
        });
    }
}
