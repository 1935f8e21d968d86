//! What lies on the device: buffers that return to a pool, and the shapes of what is in them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::activation::Precision;
use crate::weights::{BLOCK, Shape};

/// Free buffers may hold so many bytes.
const KEPT: u64 = 256 << 20;

/// Free buffers by size. One that is taken again may still be used by commands recorded before: the
/// queue's order keeps them apart, so nothing but commands may write to such a buffer.
#[derive(Debug)]
pub(super) struct Pool {
    device: wgpu::Device,
    free: RefCell<HashMap<u64, Vec<(u64, wgpu::Buffer)>>>,
    kept: Cell<u64>,
    next: Cell<u64>,
    /// A buffer is gone for good: who remembers it is to forget it.
    stale: Cell<bool>,
}

impl Pool {
    pub(super) fn new(device: wgpu::Device) -> Rc<Self> {
        Rc::new(Self {
            device,
            free: RefCell::default(),
            kept: Cell::new(0),
            next: Cell::new(0),
            stale: Cell::new(false),
        })
    }

    /// A buffer of at least so many bytes, with anything in it.
    pub(super) fn take(self: &Rc<Self>, bytes: u64) -> Slot {
        let size = bytes.max(256).next_power_of_two();
        let free = self.free.borrow_mut().get_mut(&size).and_then(Vec::pop);
        let (id, buffer) = free.map_or_else(
            || self.create(size, false),
            |found| {
                self.kept.set(self.kept.get() - size);
                found
            },
        );
        Slot { id, buffer, pool: self.clone(), pooled: true }
    }

    /// A buffer that is written by the queue, so it is nobody else's before or after.
    pub(super) fn upload(self: &Rc<Self>, queue: &wgpu::Queue, words: &[u32]) -> Slot {
        let slot = self.own(words.len() as u64 * 4);
        queue.write_buffer(&slot.buffer, 0, bytemuck::cast_slice(words));
        slot
    }

    fn own(self: &Rc<Self>, bytes: u64) -> Slot {
        let (id, buffer) = self.create(bytes.max(16).next_multiple_of(16), true);
        Slot { id, buffer, pool: self.clone(), pooled: false }
    }

    fn create(&self, size: u64, named: bool) -> (u64, wgpu::Buffer) {
        let id = self.next.get();
        self.next.set(id + 1);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(if named { "upload" } else { "pool" }),
            size,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        (id, buffer)
    }

    /// Whether a buffer is gone since the last call; frees what the pool holds too much.
    pub(super) fn take_stale(&self) -> bool {
        if self.kept.get() > KEPT {
            self.free.borrow_mut().clear();
            self.kept.set(0);
            self.stale.set(true);
        }
        self.stale.replace(false)
    }
}

/// A buffer, as long as it is needed.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) buffer: wgpu::Buffer,
    pool: Rc<Pool>,
    pooled: bool,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.pooled {
            let size = self.buffer.size();
            self.pool.kept.set(self.pool.kept.get() + size);
            self.pool
                .free
                .borrow_mut()
                .entry(size)
                .or_default()
                .push((self.id, self.buffer.clone()));
        } else {
            self.pool.stale.set(true);
        }
    }
}

/// Exact 32-bit values, a row for each token.
#[derive(Debug)]
pub struct Matrix {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) data: Slot,
    pub(super) exponents: Slot,
}

/// Quantised values, as quantise.wgsl lays them out.
#[derive(Debug)]
pub struct Activation {
    pub(super) precision: Precision,
    pub(super) tokens: usize,
    pub(super) cols: usize,
    pub(super) mantissas: Slot,
    pub(super) blocks: Slot,
    pub(super) exponents: Slot,
}

impl Activation {
    /// Blocks of a token.
    pub(super) fn width(&self) -> usize {
        self.cols / BLOCK
    }
}

/// A matrix of weights.
#[derive(Debug)]
pub struct Weights {
    pub(super) shape: Shape,
    pub(super) data: Slot,
    pub(super) shifts: Slot,
}

/// A norm's weights.
#[derive(Debug)]
pub struct Norm {
    pub(super) cols: usize,
    pub(super) exponent: i32,
    pub(super) epsilon: u32,
    pub(super) gains: Slot,
    pub(super) bias: Slot,
}

/// A bias.
#[derive(Debug)]
pub struct Bias {
    pub(super) cols: usize,
    pub(super) exponent: i32,
    pub(super) values: Slot,
}

/// Keys and values of one layer: the keys of `room` positions, then their values.
#[derive(Debug)]
pub struct Cache {
    /// Blocks of a position.
    pub(super) width: usize,
    pub(super) room: usize,
    pub(super) len: usize,
    pub(super) lanes: Lanes,
}

/// Numbers of 16 bits with an exponent for each block of 32.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) mantissas: Slot,
    pub(super) exponents: Slot,
}

/// Queries.
#[derive(Debug)]
pub struct Queries {
    pub(super) tokens: usize,
    pub(super) lanes: Lanes,
}
