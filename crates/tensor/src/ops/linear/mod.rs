//! Matrix product: docs/arithmetic.md, "Linear".
//!
//! For each row of the weights and each token: blocks of 32 products summed exactly, scaled,
//! shifted by the block's exponent, summed; then the row is brought to the matrix's exponent.

mod reference;
mod simd;
#[cfg(test)]
pub(crate) mod tests;

pub use reference::linear as reference;
pub use simd::linear as simd;
