//! Every kernel: its text, what it binds, and the tiles that are chosen for a device.
//!
//! A kernel's text is whole files one after the other, so that each can be read, and what comes out
//! is validated by a unit test.

use crate::weights::Kind;

/// The kernels. Shapes and bindings stand in each kernel's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kernel {
    Embed,
    RmsNorm,
    LayerNorm,
    Quantise,
    SiluMul,
    Gelu,
    Add,
    Argmax,
    Lanes,
    Scores,
    Weights,
    Sum,
    ProductN4,
    ProductB8,
    ProductR16,
    VectorN4,
    VectorB8,
    VectorR16,
    Peak,
}

/// A binding that a kernel only reads, or writes too.
const R: bool = false;
const W: bool = true;

const FIXED: &str = include_str!("fixed.wgsl");
const TABLES: &str = include_str!("tables.wgsl");
const QUANTISE: &str = include_str!("quantise.wgsl");
const NORM: &str = include_str!("../ops/norm.wgsl");
const HEADS: &str = include_str!("../ops/attention/heads.wgsl");
const INPUTS: &str = include_str!("../ops/linear/inputs.wgsl");
const PRODUCT: &str = include_str!("../ops/linear/product.wgsl");
const VECTOR: &str = include_str!("../ops/linear/vector.wgsl");

impl Kernel {
    pub(super) const ALL: [Self; 19] = [
        Self::Embed,
        Self::RmsNorm,
        Self::LayerNorm,
        Self::Quantise,
        Self::SiluMul,
        Self::Gelu,
        Self::Add,
        Self::Argmax,
        Self::Lanes,
        Self::Scores,
        Self::Weights,
        Self::Sum,
        Self::ProductN4,
        Self::ProductB8,
        Self::ProductR16,
        Self::VectorN4,
        Self::VectorB8,
        Self::VectorR16,
        Self::Peak,
    ];

    pub(super) const fn product(kind: Kind) -> Self {
        match kind {
            Kind::N4 => Self::ProductN4,
            Kind::B8 => Self::ProductB8,
            Kind::R16 => Self::ProductR16,
        }
    }

    pub(super) const fn vector(kind: Kind) -> Self {
        match kind {
            Kind::N4 => Self::VectorN4,
            Kind::B8 => Self::VectorB8,
            Kind::R16 => Self::VectorR16,
        }
    }

    /// Whether each storage binding, from 1 up, is written.
    pub(super) const fn bindings(self) -> &'static [bool] {
        match self {
            Self::Embed => &[R, R, R, W, W],
            Self::RmsNorm | Self::Quantise => &[W, W, W, R, R],
            Self::LayerNorm => &[W, R, R, R],
            Self::SiluMul => &[W, W, W, R, R, R, R, R],
            Self::Gelu => &[W, W, W, R, R, R],
            Self::Add => &[W, R, R, R],
            Self::Argmax => &[R, W],
            Self::Lanes => &[R, R, R, R, W, W],
            Self::Peak => &[W],
            Self::Scores => &[R, R, R, R, R, W],
            Self::Weights => &[R, R, W, W],
            Self::Sum => &[R, R, R, R, R, W, W],
            _ => &[R, R, R, R, R, W, W],
        }
    }

    fn parts(self, tiles: &Tiles) -> Vec<&'static str> {
        match self {
            Self::Embed => vec![include_str!("../ops/embed.wgsl"), FIXED],
            Self::RmsNorm => vec![QUANTISE, include_str!("../ops/rms_norm.wgsl"), NORM, FIXED],
            Self::LayerNorm => vec![include_str!("../ops/layer_norm.wgsl"), NORM, FIXED],
            Self::Quantise => vec![QUANTISE, include_str!("values.wgsl"), FIXED],
            Self::SiluMul => vec![QUANTISE, include_str!("../ops/silu_mul.wgsl"), TABLES, FIXED],
            Self::Gelu => vec![QUANTISE, include_str!("../ops/gelu.wgsl"), TABLES, FIXED],
            Self::Add => vec![include_str!("../ops/add.wgsl"), FIXED],
            Self::Argmax => vec![include_str!("../ops/argmax.wgsl")],
            Self::Lanes => vec![include_str!("../ops/attention/lanes.wgsl"), TABLES, FIXED],
            Self::Scores => vec![HEADS, include_str!("../ops/attention/scores.wgsl"), FIXED],
            Self::Weights => {
                vec![HEADS, include_str!("../ops/attention/weights.wgsl"), TABLES, FIXED]
            }
            Self::Sum => vec![HEADS, include_str!("../ops/attention/sum.wgsl"), FIXED],
            Self::Peak => vec![include_str!("peak.wgsl"), dot4(tiles)],
            Self::ProductN4 | Self::ProductB8 | Self::ProductR16 => {
                self.linear(PRODUCT, None, tiles)
            }
            Self::VectorN4 | Self::VectorB8 | Self::VectorR16 => {
                let reduce = if tiles.subgroups {
                    include_str!("../ops/linear/reduce_subgroup.wgsl")
                } else {
                    include_str!("../ops/linear/reduce_tree.wgsl")
                };
                self.linear(VECTOR, Some(reduce), tiles)
            }
        }
    }

    fn linear(
        self,
        main: &'static str,
        reduce: Option<&'static str>,
        tiles: &Tiles,
    ) -> Vec<&'static str> {
        let mut parts = vec![INPUTS, main, FIXED];
        parts.extend(reduce);
        if matches!(self, Self::ProductR16 | Self::VectorR16) {
            parts.push(include_str!("../ops/linear/r16.wgsl"));
            return parts;
        }
        parts.push(match self {
            Self::ProductN4 | Self::VectorN4 => include_str!("../ops/linear/n4.wgsl"),
            _ => include_str!("../ops/linear/b8.wgsl"),
        });
        parts.push(dot4(tiles));
        parts
    }

    /// The kernel's text for a device. In a browser subgroups would have to be enabled in it, but wgpu 30
    /// has no such feature there.
    pub(super) fn source(self, tiles: &Tiles) -> String {
        self.parts(tiles).join("\n")
    }

    /// The tile sizes that the kernel's text leaves open.
    pub(super) fn constants(self, tiles: &Tiles) -> Vec<(&'static str, f64)> {
        let (groups, other) = match self {
            Self::ProductN4 | Self::ProductB8 | Self::ProductR16 => {
                (tiles.product.0, ("TILES", tiles.product.1))
            }
            Self::VectorN4 | Self::VectorB8 | Self::VectorR16 => {
                (tiles.vector.0, ("LANES", tiles.vector.1))
            }
            _ => return Vec::new(),
        };
        vec![("GROUPS", f64::from(groups)), (other.0, f64::from(other.1))]
    }
}

fn dot4(tiles: &Tiles) -> &'static str {
    if tiles.packed_dot {
        include_str!("../ops/linear/dot_packed.wgsl")
    } else {
        include_str!("../ops/linear/dot_plain.wgsl")
    }
}

/// How kernels are cut for a device. The bits are the same whichever is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiles {
    /// Whether the shading language has `dot4I8Packed`.
    pub packed_dot: bool,
    /// Whether sums across threads are made in subgroups.
    pub subgroups: bool,
    /// For many tokens: groups of eight rows, and of four tokens, in a workgroup.
    pub product: (u32, u32),
    /// For few tokens: groups of eight rows in a workgroup (one with subgroups), and threads that
    /// share one, a power of two; at most 64 threads in all.
    pub vector: (u32, u32),
    /// Up to how many tokens are few.
    pub few: usize,
}

impl Tiles {
    /// For a GPU: `subgroup` is the size of its largest subgroups, 0 for none.
    #[must_use]
    pub fn gpu(packed_dot: bool, subgroup: u32) -> Self {
        let subgroups = subgroup >= 8;
        let vector = if subgroups { (1, subgroup.clamp(32, 64)) } else { (2, 32) };
        Self { packed_dot, subgroups, product: (8, 8), vector, few: 2 }
    }

    /// For a processor that plays GPU: small workgroups, so that a slice can be cut fine.
    #[must_use]
    pub fn processor(packed_dot: bool) -> Self {
        Self { packed_dot, subgroups: false, product: (8, 2), vector: (8, 8), few: 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds a kernel to WebGPU's default limits and language, without any GPU.
    fn validate(kernel: Kernel, tiles: &Tiles) {
        use naga::valid::{Capabilities, ValidationFlags, Validator};
        let source = kernel.source(tiles);
        let module = naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|e| panic!("{kernel:?}: {}", e.emit_to_string(&source)));
        let capabilities =
            if tiles.subgroups { Capabilities::SUBGROUP } else { Capabilities::empty() };
        let mut validator = Validator::new(ValidationFlags::all(), capabilities);
        validator
            .validate(&module)
            .unwrap_or_else(|e| panic!("{kernel:?}: {}", e.emit_to_string(&source)));

        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).expect("validated");
        let (mut memory, mut storage) = (0, Vec::new());
        for (_, variable) in module.global_variables.iter() {
            match variable.space {
                naga::AddressSpace::WorkGroup => memory += layouter[variable.ty].size,
                naga::AddressSpace::Storage { access } => {
                    let binding = variable.binding.expect("storage is bound").binding;
                    storage.push((binding, access.contains(naga::StorageAccess::STORE)));
                }
                _ => {}
            }
        }
        storage.sort_unstable();
        let declared: Vec<_> = (1..).zip(kernel.bindings().iter().copied()).collect();
        assert_eq!(storage, declared, "{kernel:?}'s bindings");
        assert!(storage.len() <= 8, "{kernel:?} binds too much");
        assert!(memory <= 16_384, "{kernel:?} wants {memory} bytes of workgroup memory");
    }

    #[test]
    fn every_kernel_is_valid_with_every_choice() {
        for packed in [false, true] {
            for subgroup in [0, 32] {
                for kernel in Kernel::ALL {
                    validate(kernel, &Tiles::gpu(packed, subgroup));
                }
            }
        }
    }
}
