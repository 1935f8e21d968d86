// LayerNorm of a token of the stream, in place, by a workgroup.
struct Params {
    cols: u32,
    exponent: i32,
    epsilon: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> data: array<vec4<i32>>;
@group(0) @binding(2) var<storage, read> exponents: array<i32>;
@group(0) @binding(3) var<storage, read> gains: array<vec4<i32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<i32>>;

const LIMIT = vec4<i32>(0x3fffffff);

var<workgroup> mean_low: atomic<u32>;
var<workgroup> mean_high: atomic<i32>;
var<private> mean: i32;

fn add4(a: vec4<i32>, b: vec4<i32>) -> vec4<i32> {
    let sum = vec4<i32>(saturating_add(a.x, b.x), saturating_add(a.y, b.y), saturating_add(a.z, b.z), saturating_add(a.w, b.w));
    return clamp(sum, -LIMIT, LIMIT);
}

fn stream(token: u32, at: u32) -> vec4<i32> {
    return add4(data[token * (params.cols / 4u) + at], vec4<i32>(-mean));
}

@compute @workgroup_size(MEMBERS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let token = group.x;
    let quarter = params.cols / 4u;
    if lane == 0u {
        atomicStore(&mean_low, 0u);
        atomicStore(&mean_high, 0);
        atomicStore(&norm_top, 0u);
        atomicStore(&norm_low, 0u);
        atomicStore(&norm_high, 0u);
    }
    workgroupBarrier();
    var low = 0u;
    var high = 0;
    for (var i = lane; i < quarter; i += MEMBERS) {
        let v = data[token * quarter + i];
        let l = v & vec4<i32>(0xffff);
        let h = v >> vec4<u32>(16u);
        low += u32(l.x + l.y + l.z + l.w);
        high += h.x + h.y + h.z + h.w;
    }
    atomicAdd(&mean_low, low);
    atomicAdd(&mean_high, high);
    workgroupBarrier();
    // floor((high * 2^16 + low + n / 2) / n): what the division of the high limb leaves is below n.
    let n = i32(params.cols);
    high = atomicLoad(&mean_high);
    var whole = high / n;
    if whole * n > high {
        whole -= 1;
    }
    let rest = u32(high - whole * n) * 65536u + atomicLoad(&mean_low) + params.cols / 2u;
    mean = whole * 65536 + i32(rest / params.cols);

    normalise(token, lane, params.cols, params.epsilon);
    let shift = exponents[token] - (unit.exponent + params.exponent);
    for (var i = lane; i < quarter; i += MEMBERS) {
        let y = apply4(stream(token, i), gains[i]);
        let scaled = vec4<i32>(rshift(y.x, shift), rshift(y.y, shift), rshift(y.z, shift), rshift(y.w, shift));
        data[token * quarter + i] = add4(scaled, bias[i]);
    }
}
