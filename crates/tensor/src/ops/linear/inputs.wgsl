// What every matrix product has: docs/arithmetic.md, "Linear". Weights lie as weights/mod.rs says:
// groups of eight rows, blocks of 32 columns; activations as gpu/quantise.wgsl writes them.
struct Params {
    rows: u32,
    // Blocks of a row.
    blocks: u32,
    // One after the last token of this dispatch.
    tokens: u32,
    exponent: i32,
    dot_shift: u32,
    sum_shift: u32,
    // The groups of this dispatch.
    first: u32,
    end: u32,
    // The first token of this dispatch.
    token: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> shifts: array<u32>;
@group(0) @binding(3) var<storage, read> mantissas: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> blocks: array<i32>;
@group(0) @binding(5) var<storage, read> exponents: array<i32>;
@group(0) @binding(6) var<storage, read_write> out: array<i32>;
@group(0) @binding(7) var<storage, read_write> out_exponents: array<i32>;

// A block of one token.
struct Input {
    a: vec4<u32>,
    b: vec4<u32>,
    c: vec4<u32>,
    d: vec4<u32>,
    sum: i32,
    shift: u32,
}

fn input(token: u32, block: u32) -> Input {
    let at = token * params.blocks + block;
    let both = blocks[at];
    return Input(
        mantissas[at * 4u],
        mantissas[at * 4u + 1u],
        mantissas[at * 4u + 2u],
        mantissas[at * 4u + 3u],
        both >> 4u,
        u32(both & 15),
    );
}

// x / 2^s rounded half up; no sum of a matrix that was let in is near the end of 32 bits.
fn rounded(x: vec4<i32>, s: u32) -> vec4<i32> {
    return (x + vec4<i32>((1 << s) >> 1u)) >> vec4<u32>(s);
}

fn finish(token: u32, row: u32, sum: i32) {
    if row < params.rows {
        let shift = (shifts[row / 4u] >> (row % 4u * 8u)) & 255u;
        out[token * params.rows + row] = rshift(sum, i32(shift));
    }
    if row == 0u {
        out_exponents[token] = params.exponent + exponents[token];
    }
}
