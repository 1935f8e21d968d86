// silu(gate) * up of a token, to be quantised: docs/arithmetic.md, "Activation functions".
@group(0) @binding(4) var<storage, read> gate: array<vec4<i32>>;
@group(0) @binding(5) var<storage, read> gate_exponents: array<i32>;
@group(0) @binding(6) var<storage, read> up: array<vec4<i32>>;
@group(0) @binding(7) var<storage, read> up_exponents: array<i32>;
@group(0) @binding(8) var<storage, read> tables: array<i32>;

var<workgroup> gate_tops: array<atomic<u32>, MAX_BLOCKS>;
var<workgroup> up_tops: array<atomic<u32>, MAX_BLOCKS>;

fn prepare(token: u32, lane: u32) {
    for (var b = lane; b < params.cols / 32u; b += THREADS) {
        atomicStore(&gate_tops[b], 1u);
        atomicStore(&up_tops[b], 1u);
    }
    workgroupBarrier();
    let quarter = params.cols / 4u;
    for (var i = lane; i < quarter; i += THREADS) {
        atomicMax(&gate_tops[i / 8u], largest(gate[token * quarter + i]));
        atomicMax(&up_tops[i / 8u], largest(up[token * quarter + i]));
    }
    workgroupBarrier();
}

// The shift that leaves a block's largest magnitude two bits under the sign.
fn headroom(top: u32) -> u32 {
    return max(countLeadingZeros(top), 2u) - 2u;
}

fn one(g: i32, e: i32, gs: u32, u: i32, us: u32) -> i32 {
    return mul_high(mul16(g << gs, sigmoid(g, e)), u << us);
}

fn value(token: u32, at: u32) -> vec4<i32> {
    let g = gate[token * (params.cols / 4u) + at];
    let u = up[token * (params.cols / 4u) + at];
    let gs = headroom(atomicLoad(&gate_tops[at / 8u]));
    let us = headroom(atomicLoad(&up_tops[at / 8u]));
    let e = gate_exponents[token];
    return vec4<i32>(one(g.x, e, gs, u.x, us), one(g.y, e, gs, u.y, us), one(g.z, e, gs, u.z, us), one(g.w, e, gs, u.w, us));
}

fn exponent(token: u32, block: u32) -> i32 {
    let gs = headroom(atomicLoad(&gate_tops[block]));
    let us = headroom(atomicLoad(&up_tops[block]));
    return gate_exponents[token] - i32(gs) + up_exponents[token] - i32(us) + 32;
}
