// x += y, saturating: docs/arithmetic.md, "Norms". y is a matrix like x, or a bias for every token.
struct Params {
    cols: u32,
    count: u32,
    // 1 for a bias, whose exponent follows.
    bias: u32,
    exponent: i32,
    limit: i32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<i32>;
@group(0) @binding(2) var<storage, read> exponents: array<i32>;
@group(0) @binding(3) var<storage, read> y: array<i32>;
@group(0) @binding(4) var<storage, read> others: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = id.y * params.stride + id.x;
    if at >= params.count {
        return;
    }
    let token = at / params.cols;
    var source = at;
    var other = others[token];
    if params.bias == 1u {
        source = at % params.cols;
        other = params.exponent;
    }
    let sum = saturating_add(x[at], rshift(y[source], exponents[token] - other));
    x[at] = clamp(sum, -params.limit, params.limit);
}
