// Rows of a table: docs/arithmetic.md, "Embedding". A thread for each value.
struct Params {
    cols: u32,
    tokens: u32,
    rows: u32,
    // 1, 2, 3: N4, B8, R16.
    kind: u32,
    // A value's shift is this and its row's.
    shift: i32,
    exponent: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<u32>;
@group(0) @binding(2) var<storage, read> shifts: array<u32>;
@group(0) @binding(3) var<storage, read> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<i32>;
@group(0) @binding(5) var<storage, read_write> exponents: array<i32>;

const LIMIT = 0x3fffffff;

fn low(word: u32) -> i32 {
    return i32(word << 16u) >> 16u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let col = id.x;
    let token = id.y;
    if col >= params.cols {
        return;
    }
    let row = min(ids[token], params.rows - 1u);
    let quad = (row / 4u) % 2u;
    let lane = row % 4u;
    let k = col % 32u;
    // Words of a block of eight rows; pictured in weights/mod.rs.
    let block = row / 8u * (params.cols / 32u) + col / 32u;
    var number = 0;
    if params.kind == 1u {
        let at = block * 40u;
        let word = weights[at + 8u + quad * 16u + k / 8u * 4u + lane];
        number = i32((word >> ((k % 2u) * 16u + (k % 8u) / 2u * 4u)) & 15u) - 8;
        let scale = weights[at + quad * 4u + lane];
        number = number * low(scale) + (i32(scale) >> 16u);
    } else if params.kind == 2u {
        let at = block * 68u;
        let word = weights[at + 4u + quad * 32u + k / 4u * 4u + lane];
        number = i32(word << (24u - (k % 2u) * 16u - (k % 4u) / 2u * 8u)) >> 24u;
        number *= low(weights[at + lane] >> (quad * 16u));
    } else {
        let word = weights[block * 128u + quad * 64u + k / 2u * 4u + lane];
        number = low(word >> ((k % 2u) * 16u));
    }
    let own = (shifts[row / 4u] >> (row % 4u * 8u)) & 255u;
    out[token * params.cols + col] = clamp(rshift(number, params.shift + i32(own)), -LIMIT, LIMIT);
    if col == 0u {
        exponents[token] = params.exponent;
    }
}
