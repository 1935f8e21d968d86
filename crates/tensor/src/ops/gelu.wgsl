// gelu(x) of a token, to be quantised: docs/arithmetic.md, "Activation functions".
@group(0) @binding(4) var<storage, read> data: array<vec4<i32>>;
@group(0) @binding(5) var<storage, read> scales: array<i32>;
@group(0) @binding(6) var<storage, read> tables: array<i32>;

var<workgroup> data_tops: array<atomic<u32>, MAX_BLOCKS>;

fn prepare(token: u32, lane: u32) {
    for (var b = lane; b < params.cols / 32u; b += THREADS) {
        atomicStore(&data_tops[b], 1u);
    }
    workgroupBarrier();
    for (var i = lane; i < params.cols / 4u; i += THREADS) {
        atomicMax(&data_tops[i / 8u], largest(data[token * (params.cols / 4u) + i]));
    }
    workgroupBarrier();
}

// The shift that leaves a block's largest magnitude two bits under the sign.
fn headroom(block: u32) -> u32 {
    return max(countLeadingZeros(atomicLoad(&data_tops[block])), 2u) - 2u;
}

fn value(token: u32, at: u32) -> vec4<i32> {
    let x = data[token * (params.cols / 4u) + at];
    let y = x << vec4<u32>(headroom(at / 8u));
    let e = scales[token];
    return vec4<i32>(mul16(y.x, phi(x.x, e)), mul16(y.y, phi(x.y, e)), mul16(y.z, phi(x.z, e)), mul16(y.w, phi(x.w, e)));
}

fn exponent(token: u32, block: u32) -> i32 {
    return scales[token] - i32(headroom(block));
}
