// RMSNorm of a token, to be quantised. params.a is the gains' exponent, params.b epsilon.
@group(0) @binding(4) var<storage, read> data: array<vec4<i32>>;
@group(0) @binding(5) var<storage, read> gains: array<vec4<i32>>;

fn stream(token: u32, at: u32) -> vec4<i32> {
    return data[token * (params.cols / 4u) + at];
}

fn prepare(token: u32, lane: u32) {
    if lane == 0u {
        atomicStore(&norm_top, 0u);
        atomicStore(&norm_low, 0u);
        atomicStore(&norm_high, 0u);
    }
    workgroupBarrier();
    normalise(token, lane, params.cols, params.b);
}

fn value(token: u32, at: u32) -> vec4<i32> {
    return apply4(stream(token, at), gains[at]);
}

fn exponent(token: u32, block: u32) -> i32 {
    return unit.exponent + params.a;
}
