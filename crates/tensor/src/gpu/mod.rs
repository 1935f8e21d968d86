//! The operators on a GPU, in WGSL through wgpu: [`Gpu`] is a [`Backend`](crate::backend::Backend).
//!
//! Operators are recorded, and submitted in slices of some 20 ms, so that a screen or another
//! program gets its turn. Nothing is read back but what is asked for. Buffers return to a pool when
//! their matrix is dropped, and are taken again in the order of the queue.

mod buffers;
pub mod check;
mod kernels;
pub mod measure;
mod ops;
mod pace;
mod read;
mod recorder;
mod signal;
mod timer;

use std::sync::{Arc, Mutex, PoisonError};

pub use buffers::{Activation, Bias, Cache, Matrix, Norm, Queries, Weights};
pub use kernels::Tiles;

use recorder::Recorder;

/// Why a GPU can't be used, or not any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no adapter; natively its driver may be missing.
    #[error("no GPU: {0}")]
    None(String),
    /// The adapter lacks what every adapter of WebGPU has.
    #[error("the GPU has {0}")]
    Small(&'static str),
    /// The adapter gave no device.
    #[error("the GPU gave no device: {0}")]
    Refused(String),
    /// The device is gone (driver reset, sleep, removal). Another may be opened.
    #[error("the GPU was lost: {0}")]
    Lost(String),
    /// The device refused a command or ran out of memory. Everything it made is to be dropped.
    #[error("the GPU failed: {0}")]
    Failed(String),
}

/// What a device is, and what is used of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its name and driver, as far as they are told.
    pub name: String,
    /// Whether it is a processor that plays GPU.
    pub processor: bool,
    /// Whether times are taken by the device itself.
    pub timestamps: bool,
    /// Bytes that one binding may have: no matrix of weights can be larger.
    pub binding: u64,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Most threads of a workgroup.
    pub workgroup_threads: u32,
    /// Threads of the smallest and the largest subgroup; zeros for none.
    pub subgroups: (u32, u32),
    /// How kernels are cut.
    pub tiles: Tiles,
}

/// What is used of a device that has it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Milliseconds from any beginning; only differences are used.
    pub clock: fn() -> f64,
    /// Let the device measure its own times.
    pub timestamps: bool,
    /// Cut kernels so, instead of as fits the device; its features are respected.
    pub tiles: Option<Tiles>,
}

impl Options {
    /// Everything the device has, timed by this clock.
    #[must_use]
    pub fn new(clock: fn() -> f64) -> Self {
        Self { clock, timestamps: true, tiles: None }
    }
}

/// What went wrong first: lost or failed. Shared with the callbacks of the device.
#[derive(Debug, Clone, Default)]
struct Trouble(Arc<Mutex<Option<Error>>>);

impl Trouble {
    fn set(&self, error: Error) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Being lost explains whatever failed before it was noticed.
        if first.is_none() || matches!(error, Error::Lost(_)) {
            *first = Some(error);
        }
    }

    fn check(&self) -> Result<(), Error> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }
}

/// A GPU.
#[derive(Debug)]
pub struct Gpu {
    about: About,
    recorder: Recorder,
    trouble: Trouble,
}

impl Gpu {
    /// Opens the machine's GPU, a fast one if there are several.
    ///
    /// # Errors
    /// [`Error::None`], [`Error::Small`] or [`Error::Refused`].
    pub async fn open(options: Options) -> Result<Self, Error> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = instance
            .request_adapter(&wgpu::RequestAdapterOptions {
                power_preference: wgpu::PowerPreference::HighPerformance,
                ..Default::default()
            })
            .await
            .map_err(|e| Error::None(e.to_string()))?;
        let packed = instance
            .wgsl_language_features()
            .contains(wgpu::WgslLanguageFeatures::Packed4x8IntegerDotProduct);
        let (limits, required) = limits(&adapter)?;
        let mut features =
            adapter.features() & (wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY);
        if !options.timestamps {
            features.remove(wgpu::Features::TIMESTAMP_QUERY);
        }
        let info = adapter.get_info();
        let subgroups = if features.contains(wgpu::Features::SUBGROUP) {
            (info.subgroup_min_size, info.subgroup_max_size)
        } else {
            (0, 0)
        };
        let processor = info.device_type == wgpu::DeviceType::Cpu;
        let mut tiles = options.tiles.unwrap_or_else(|| {
            if processor { Tiles::processor(packed) } else { Tiles::gpu(packed, subgroups.1) }
        });
        tiles.packed_dot &= packed;
        if subgroups == (0, 0) {
            tiles.subgroups = false;
        }
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("grid"),
                required_features: features,
                required_limits: required,
                ..Default::default()
            })
            .await
            .map_err(|e| Error::Refused(e.to_string()))?;

        let trouble = Trouble::default();
        let lost = trouble.clone();
        device.set_device_lost_callback(move |reason, message| {
            lost.set(Error::Lost(format!("{reason:?}: {message}")));
        });
        let failed = trouble.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            failed.set(Error::Failed(error.to_string()))
        }));

        let timestamps = features.contains(wgpu::Features::TIMESTAMP_QUERY);
        let words = [info.name.as_str(), info.driver.as_str(), info.driver_info.as_str()];
        let about = About {
            name: words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(", "),
            processor,
            timestamps,
            binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            workgroup_threads: limits.max_compute_invocations_per_workgroup,
            subgroups,
            tiles,
        };
        let recorder = Recorder::new(device, queue, tiles, timestamps, options.clock);
        Ok(Self { about, recorder, trouble })
    }

    /// What the device is.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Whether a matrix of this shape fits the device's limits.
    #[must_use]
    pub fn fits(&self, shape: &crate::weights::Shape) -> bool {
        shape.bytes().is_ok_and(|bytes| bytes as u64 <= self.about.binding)
    }

    /// Whether the device still answers.
    ///
    /// # Errors
    /// [`Error::Lost`] or [`Error::Failed`]: drop everything of this device, and open another.
    pub fn alive(&self) -> Result<(), Error> {
        self.trouble.check()
    }

    /// Waits until everything recorded is done.
    ///
    /// # Errors
    /// As [`Gpu::alive`].
    pub async fn finish(&self) -> Result<(), Error> {
        self.recorder.submit();
        self.recorder.wait(0).await;
        self.alive()
    }

    /// The slices measured since the last call: how many, the longest and their sum in milliseconds.
    #[must_use]
    pub fn slices(&self) -> Slices {
        self.recorder.pace().take_slices()
    }

    /// Ends the device as a driver would, to see what follows. For tests.
    #[doc(hidden)]
    pub fn lose(&self) {
        self.recorder.device().destroy();
    }
}

pub use pace::Slices;

/// The adapter's limits, and those that are asked for: the defaults, with buffers as large as they
/// may be.
fn limits(adapter: &wgpu::Adapter) -> Result<(wgpu::Limits, wgpu::Limits), Error> {
    let has = adapter.limits();
    let needed = wgpu::Limits::default();
    if has.max_storage_buffers_per_shader_stage < 8 {
        return Err(Error::Small("fewer than 8 storage buffers a stage"));
    }
    if has.max_compute_invocations_per_workgroup < 128
        || has.max_compute_workgroup_storage_size < 16_384
    {
        return Err(Error::Small("workgroups of fewer than 128 threads or 16 KiB"));
    }
    let required = wgpu::Limits {
        max_buffer_size: has.max_buffer_size,
        max_storage_buffer_binding_size: has.max_storage_buffer_binding_size,
        ..needed.or_worse_values_from(&has)
    };
    Ok((has, required))
}
