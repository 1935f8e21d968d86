// Quantises a token for each workgroup: docs/arithmetic.md, "Activations". What comes before this
// text gives the token's values: prepare(), value() of four columns, and exponent() of a block.
//
// A block of 32 mantissas is 16 words. In blocks precision the high halves (m >> 7) of columns
// 0 4 1 5, then of 2 6 3 7, the same of the next eight columns and so on, then the low halves
// (m & 127): the order in which two masks take four-bit weights out of a word. In row precision two
// mantissas to a word, in their order.
struct Params {
    cols: u32,
    // 1 where a token has one exponent for all its blocks.
    row: u32,
    a: i32,
    b: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> mantissas: array<u32>;
// For each block the sum of its mantissas * 16 + its shift.
@group(0) @binding(2) var<storage, read_write> blocks: array<i32>;
@group(0) @binding(3) var<storage, read_write> exponents: array<i32>;

const THREADS = 128u;
const MAX_BLOCKS = 768u;
const NOTHING = -0x7fffffff;

var<workgroup> tops: array<atomic<u32>, MAX_BLOCKS>;
var<workgroup> sums: array<atomic<i32>, MAX_BLOCKS>;
var<workgroup> highest: atomic<i32>;

fn needed(top: u32) -> i32 {
    return max(bits(top) - select(14, 13, params.row == 1u), 0);
}

// The exponent of a block of a token whose exponent is `whole`.
fn own(token: u32, block: u32, whole: i32) -> i32 {
    let top = atomicLoad(&tops[block]);
    if params.row == 1u || top == 0u {
        return whole;
    }
    return max(exponent(token, block) + needed(top), whole - 15);
}

fn mantissa(token: u32, at: u32, shift: i32) -> vec4<i32> {
    let limit = vec4<i32>(select(16383, 8191, params.row == 1u));
    return clamp(rshift4(value(token, at), max(shift, 0)), -limit, limit);
}

fn bytes(a: i32, b: i32, c: i32, d: i32) -> u32 {
    return u32((a & 255) | ((b & 255) << 8u) | ((c & 255) << 16u) | (d << 24u));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let token = group.x;
    let count = params.cols / 32u;
    prepare(token, lane);
    for (var b = lane; b < count; b += THREADS) {
        atomicStore(&tops[b], 0u);
        atomicStore(&sums[b], 0);
    }
    if lane == 0u {
        atomicStore(&highest, NOTHING);
    }
    workgroupBarrier();
    for (var i = lane; i < count * 8u; i += THREADS) {
        atomicMax(&tops[i / 8u], largest(value(token, i)));
    }
    workgroupBarrier();
    for (var b = lane; b < count; b += THREADS) {
        let top = atomicLoad(&tops[b]);
        if top != 0u {
            atomicMax(&highest, exponent(token, b) + needed(top));
        }
    }
    workgroupBarrier();
    var whole = atomicLoad(&highest);
    if whole == NOTHING {
        whole = 0;
    }
    for (var i = lane; i < count * 4u; i += THREADS) {
        let block = i / 4u;
        let shift = own(token, block, whole) - exponent(token, block);
        let x = mantissa(token, i * 2u, shift);
        let y = mantissa(token, i * 2u + 1u, shift);
        let both = x + y;
        atomicAdd(&sums[block], both.x + both.y + both.z + both.w);
        let first = (token * count + block) * 16u;
        if params.row == 1u {
            let at = first + (i % 4u) * 4u;
            mantissas[at] = u32((x.x & 0xffff) | (x.y << 16u));
            mantissas[at + 1u] = u32((x.z & 0xffff) | (x.w << 16u));
            mantissas[at + 2u] = u32((y.x & 0xffff) | (y.y << 16u));
            mantissas[at + 3u] = u32((y.z & 0xffff) | (y.w << 16u));
        } else {
            let at = first + (i % 4u) * 2u;
            let hx = x >> vec4<u32>(7u);
            let hy = y >> vec4<u32>(7u);
            let lx = x & vec4<i32>(127);
            let ly = y & vec4<i32>(127);
            mantissas[at] = bytes(hx.x, hy.x, hx.y, hy.y);
            mantissas[at + 1u] = bytes(hx.z, hy.z, hx.w, hy.w);
            mantissas[at + 8u] = bytes(lx.x, ly.x, lx.y, ly.y);
            mantissas[at + 9u] = bytes(lx.z, ly.z, lx.w, ly.w);
        }
    }
    workgroupBarrier();
    for (var b = lane; b < count; b += THREADS) {
        blocks[token * count + b] = (atomicLoad(&sums[b]) << 4u) | (whole - own(token, b, whole));
    }
    if lane == 0u {
        exponents[token] = whole;
    }
}
