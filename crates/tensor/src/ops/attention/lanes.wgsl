// Queries, keys or values to 16 bits, turned to their positions: docs/arithmetic.md, "Attention".
// A workgroup for each block of 32 columns, a thread for each column.
struct Params {
    cols: u32,
    dim: u32,
    position: u32,
    // 0, 1, 2: not turned, pairs of neighbours, pairs of halves.
    rope: u32,
    frequencies: u32,
    // What queries are multiplied by; 0 for keys and values.
    factor: i32,
    // Added to each exponent.
    exponent: i32,
    width: u32,
    // The first block that is written.
    first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<i32>;
@group(0) @binding(2) var<storage, read> exponents: array<i32>;
@group(0) @binding(3) var<storage, read> frequencies: array<u32>;
@group(0) @binding(4) var<storage, read> tables: array<i32>;
@group(0) @binding(5) var<storage, read_write> mantissas: array<u32>;
@group(0) @binding(6) var<storage, read_write> scales: array<i32>;

const ZERO_EXPONENT = -1000;

var<workgroup> top: atomic<u32>;
var<workgroup> lanes: array<i32, 32>;

fn turned(token: u32, col: u32) -> i32 {
    let at = token * params.cols + col;
    let i = col % params.dim;
    let half = params.dim / 2u;
    var pair = i / 2u;
    var second = i % 2u == 1u;
    var step = 1u;
    if params.rope == 2u {
        pair = i % half;
        second = i >= half;
        step = half;
    }
    if params.rope == 0u || pair >= params.frequencies {
        return data[at];
    }
    let phase = (params.position + token) * frequencies[pair];
    let s = sine(phase);
    let c = cosine(phase);
    if second {
        return mul16(data[at - step], s) + mul16(data[at], c);
    }
    return mul16(data[at], c) - mul16(data[at + step], s);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let token = group.y;
    if lane == 0u {
        atomicStore(&top, 0u);
    }
    workgroupBarrier();
    var v = turned(token, group.x * 32u + lane);
    if params.factor != 0 {
        v = mul16(v, params.factor);
    }
    atomicMax(&top, bitcast<u32>(abs(v)));
    workgroupBarrier();
    let width = i32(params.width);
    let limit = (1 << params.width) - 1;
    let largest = atomicLoad(&top);
    let shift = max(bits(largest) - width, 0);
    lanes[lane] = clamp(rshift(v, shift), -limit, limit);
    workgroupBarrier();
    let block = params.first + token * (params.cols / 32u) + group.x;
    if lane < 16u {
        mantissas[block * 16u + lane] = u32((lanes[lane * 2u] & 0xffff) | (lanes[lane * 2u + 1u] << 16u));
    }
    if lane == 0u {
        scales[block] = select(exponents[token] + params.exponent + shift, ZERO_EXPONENT, largest == 0u);
    }
}
