// Values as they are, with an exponent for each token or (params.b = 1) for each block.
@group(0) @binding(4) var<storage, read> data: array<vec4<i32>>;
@group(0) @binding(5) var<storage, read> scales: array<i32>;

fn prepare(token: u32, lane: u32) {}

fn value(token: u32, at: u32) -> vec4<i32> {
    return data[token * (params.cols / 4u) + at];
}

fn exponent(token: u32, block: u32) -> i32 {
    return scales[select(token, token * (params.cols / 32u) + block, params.b == 1u)];
}
