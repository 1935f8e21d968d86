//! Records kernels and copies, and submits them in slices.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::buffers::{Pool, Slot};
use super::kernels::{Kernel, Tiles};
use super::pace::Pace;
use super::timer::Timer;
use crate::tables;

/// Bytes between two kernels' parameters: the alignment that every device has.
const WINDOW: usize = 256;
/// Kernels in one submission, at most.
const WINDOWS: usize = 256;
/// Words of a kernel's parameters.
const WORDS: usize = 16;
/// Bind groups that are kept for the next token.
const GROUPS: usize = 4096;
/// Small uploads that are kept.
const KEPT: usize = 8;
/// Most workgroups along one axis.
pub(super) const AXIS: u32 = 65_535;
/// What starting a kernel counts for, in units of work (a multiply-add).
const START: f64 = 20_000.0;

struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

#[derive(Default)]
struct State {
    /// Ends before the encoder that it is of.
    pass: Option<wgpu::ComputePass<'static>>,
    encoder: Option<wgpu::CommandEncoder>,
    params: Vec<u8>,
    work: f64,
}

/// The device's queue, and what is recorded for it.
pub(super) struct Recorder {
    device: wgpu::Device,
    queue: wgpu::Queue,
    tiles: Tiles,
    clock: fn() -> f64,
    pipelines: [OnceCell<Pipeline>; Kernel::ALL.len()],
    params: wgpu::Buffer,
    state: RefCell<State>,
    groups: RefCell<HashMap<(Kernel, Vec<u64>), wgpu::BindGroup>>,
    pool: Rc<Pool>,
    tables: Slot,
    kept: RefCell<VecDeque<(Vec<u32>, Rc<Slot>)>>,
    pace: Pace,
    timer: Option<Timer>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("tiles", &self.tiles).finish_non_exhaustive()
    }
}

impl Recorder {
    pub(super) fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        tiles: Tiles,
        timestamps: bool,
        clock: fn() -> f64,
    ) -> Self {
        let params = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: (WINDOW * WINDOWS) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let pool = Pool::new(device.clone());
        let all: Vec<u32> = [&tables::EXP2[..], &tables::SIN, &tables::SIGMOID, &tables::PHI]
            .into_iter()
            .flatten()
            .map(|v| *v as u32)
            .collect();
        Self {
            timer: timestamps.then(|| Timer::new(&device, &queue)),
            tables: pool.upload(&queue, &all),
            pipelines: std::array::from_fn(|_| OnceCell::new()),
            state: RefCell::default(),
            groups: RefCell::default(),
            kept: RefCell::default(),
            pace: Pace::new(),
            device,
            queue,
            tiles,
            clock,
            params,
            pool,
        }
    }

    pub(super) fn device(&self) -> &wgpu::Device {
        &self.device
    }

    pub(super) fn tiles(&self) -> &Tiles {
        &self.tiles
    }

    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The tables of tables.rs.
    pub(super) fn tables(&self) -> &Slot {
        &self.tables
    }

    /// Room for words that kernels will write.
    pub(super) fn room(&self, words: usize) -> Slot {
        self.pool.take(words as u64 * 4)
    }

    /// Words for kernels to read.
    pub(super) fn upload(&self, words: &[u32]) -> Slot {
        let slot = self.pool.upload(&self.queue, words);
        if words.len() > 1 << 20 {
            // Else the copies of a whole model would wait together.
            self.queue.submit([]);
        }
        slot
    }

    /// Words that kernels only read and that come again, as frequencies and ranges do.
    pub(super) fn kept(&self, words: &[u32]) -> Rc<Slot> {
        let mut kept = self.kept.borrow_mut();
        let found =
            kept.iter().position(|(known, _)| known == words).and_then(|at| kept.remove(at));
        let slot = found.map_or_else(|| Rc::new(self.upload(words)), |(_, slot)| slot);
        kept.truncate(KEPT - 1);
        kept.push_front((words.to_vec(), slot.clone()));
        slot
    }

    /// Records a kernel. `slots` are its storage bindings, from 1 up.
    pub(super) fn dispatch(
        &self,
        kernel: Kernel,
        slots: &[&Slot],
        params: &[u32],
        grid: [u32; 3],
        work: f64,
    ) {
        debug_assert!(
            params.len() <= WORDS && grid.iter().all(|n| *n <= AXIS),
            "{kernel:?} {grid:?}"
        );
        if grid.contains(&0) {
            return;
        }
        let work = work + START;
        let full = {
            let state = self.state.borrow();
            state.params.len() == WINDOW * WINDOWS
                || (state.work > 0.0 && state.work + work > self.pace.budget())
        };
        if full {
            self.submit();
        }
        let group = self.group(kernel, slots);
        let pipeline = &self.pipeline(kernel).pipeline;
        let state = &mut *self.state.borrow_mut();
        let offset = state.params.len() as u32;
        state.params.extend_from_slice(bytemuck::cast_slice(params));
        state.params.resize(offset as usize + WINDOW, 0);
        state.work += work;
        let encoder = state
            .encoder
            .get_or_insert_with(|| self.device.create_command_encoder(&Default::default()));
        let pass = state.pass.get_or_insert_with(|| {
            let timestamp_writes = self.timer.as_ref().and_then(Timer::begin_pass);
            let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
            encoder.begin_compute_pass(&descriptor).forget_lifetime()
        });
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &group, &[offset]);
        pass.dispatch_workgroups(grid[0], grid[1], grid[2]);
    }

    /// Records a copy of words; `from` and `to` are (buffer, first word).
    pub(super) fn copy(
        &self,
        from: (&wgpu::Buffer, usize),
        to: (&wgpu::Buffer, usize),
        words: usize,
    ) {
        if words == 0 {
            return;
        }
        let state = &mut *self.state.borrow_mut();
        state.pass = None;
        let encoder = state
            .encoder
            .get_or_insert_with(|| self.device.create_command_encoder(&Default::default()));
        encoder.copy_buffer_to_buffer(
            from.0,
            from.1 as u64 * 4,
            to.0,
            to.1 as u64 * 4,
            words as u64 * 4,
        );
    }

    /// Submits what is recorded.
    pub(super) fn submit(&self) {
        let mut state = std::mem::take(&mut *self.state.borrow_mut());
        state.pass = None;
        let Some(mut encoder) = state.encoder else { return };
        if !state.params.is_empty() {
            self.queue.write_buffer(&self.params, 0, &state.params);
        }
        let timed = self.timer.as_ref().filter(|timer| timer.resolve(&mut encoder));
        self.pace.submitted();
        let submitted = (self.clock)();
        self.queue.submit([encoder.finish()]);
        let (pace, clock, work) = (self.pace.clone(), self.clock, state.work);
        let by_clock = self.timer.is_none() && work > 0.0;
        self.queue.on_submitted_work_done(move || {
            let took = pace.ended(submitted, clock());
            if by_clock {
                pace.measured(work, took);
            }
        });
        if let Some(timer) = timed {
            timer.read(self.pace.clone(), work);
        }
        if self.pool.take_stale() {
            self.groups.borrow_mut().clear();
        }
    }

    /// Waits until at most `left` submissions are under way.
    pub(super) async fn wait(&self, left: u32) {
        while self.pace.in_flight() > left {
            let end = self.pace.next_end();
            self.turn();
            if self.pace.in_flight() > left {
                end.await;
            }
        }
    }

    /// Natively somebody has to drive the device's callbacks; a browser does it by itself. What goes
    /// wrong here, the device's own callbacks tell.
    pub(super) fn turn(&self) {
        if cfg!(not(target_arch = "wasm32")) {
            let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
        }
    }

    fn group(&self, kernel: Kernel, slots: &[&Slot]) -> wgpu::BindGroup {
        debug_assert_eq!(slots.len(), kernel.bindings().len(), "{kernel:?}");
        let key = (kernel, slots.iter().map(|slot| slot.id).collect());
        let mut groups = self.groups.borrow_mut();
        if groups.len() >= GROUPS {
            groups.clear();
        }
        let make = || {
            let window = wgpu::BufferBinding {
                buffer: &self.params,
                offset: 0,
                size: std::num::NonZeroU64::new(WORDS as u64 * 4),
            };
            let mut entries = vec![wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::Buffer(window),
            }];
            entries.extend((1..).zip(slots).map(|(binding, slot)| wgpu::BindGroupEntry {
                binding,
                resource: slot.buffer.as_entire_binding(),
            }));
            self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &self.pipeline(kernel).layout,
                entries: &entries,
            })
        };
        groups.entry(key).or_insert_with(make).clone()
    }

    fn pipeline(&self, kernel: Kernel) -> &Pipeline {
        self.pipelines[kernel as usize].get_or_init(|| self.compile(kernel))
    }

    fn compile(&self, kernel: Kernel) -> Pipeline {
        let label = Some(format!("{kernel:?}"));
        let label = label.as_deref();
        let entry = |binding, ty, dynamic| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset: dynamic,
                min_binding_size: None,
            },
            count: None,
        };
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true)];
        for (binding, written) in (1..).zip(kernel.bindings()) {
            entries.push(entry(
                binding,
                wgpu::BufferBindingType::Storage { read_only: !written },
                false,
            ));
        }
        let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label,
            entries: &entries,
        });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            ..Default::default()
        });
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label,
            source: wgpu::ShaderSource::Wgsl(kernel.source(&self.tiles).into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &kernel.constants(&self.tiles),
                // Every kernel sets its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        Pipeline { pipeline, layout }
    }
}
