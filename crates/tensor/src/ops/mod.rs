//! The operators: definition, vectors, and what holds them together.

pub mod attention;
pub mod embed;
pub mod gate;
pub mod linear;
pub mod norm;
pub mod sample;
