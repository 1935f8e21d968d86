//! The operators, a folder each: definition, vectors, WGSL, and what holds them together.




pub mod linear;


