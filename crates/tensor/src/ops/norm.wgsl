// A token divided by its root of the sum of squares: docs/arithmetic.md, "Norms". Each square is
// cut in two 16-bit limbs, whose sums fit 32 bits for 8192 columns.
const MEMBERS = 128u;

struct Unit {
    up: u32,
    factor: i32,
    exponent: i32,
}

var<workgroup> norm_top: atomic<u32>;
var<workgroup> norm_low: atomic<u32>;
var<workgroup> norm_high: atomic<u32>;
var<private> unit: Unit;

// All of a workgroup's threads, which have cleared norm_top, norm_low and norm_high and met.
fn normalise(token: u32, lane: u32, columns: u32, epsilon: u32) {
    var top = 0u;
    for (var i = lane; i < columns / 4u; i += MEMBERS) {
        top = max(top, largest(stream(token, i)));
    }
    atomicMax(&norm_top, top);
    workgroupBarrier();
    let zeros = countLeadingZeros(atomicLoad(&norm_top) | 1u);
    let up = min(max(zeros, 2u) - 2u, 22u);
    var low = 0u;
    var high = 0u;
    for (var i = lane; i < columns / 4u; i += MEMBERS) {
        let v = magnitudes((stream(token, i) << vec4<u32>(up)) >> vec4<u32>(15u));
        let squares = v * v;
        let l = squares & vec4<u32>(0xffffu);
        let h = squares >> vec4<u32>(16u);
        low += l.x + l.y + l.z + l.w;
        high += h.x + h.y + h.z + h.w;
    }
    atomicAdd(&norm_low, low);
    atomicAdd(&norm_high, high);
    workgroupBarrier();
    low = atomicLoad(&norm_low);
    high = atomicLoad(&norm_high);
    let carried = high + (low >> 16u);
    var sum = vec2<u32>((low & 0xffffu) | (carried << 16u), carried >> 16u);
    let scale = 2 * i32(up) - 30;
    var extra = vec2<u32>(0u);
    if scale > 0 {
        extra = vec2<u32>(epsilon << u32(scale), epsilon >> u32(32 - scale));
    } else {
        extra.x = epsilon >> u32(-scale);
    }
    sum.y += extra.y;
    sum.x += extra.x;
    if sum.x < extra.x {
        sum.y += 1u;
    }
    // Zeros stay zeros whatever they are divided by.
    if sum.x == 0u && sum.y == 0u {
        sum.x = 1u;
    }
    var even = countLeadingZeros(sum.y);
    var first = 0u;
    if sum.y == 0u {
        even = (32u + countLeadingZeros(sum.x)) & 62u;
        first = sum.x << (even - 32u);
    } else {
        even &= 62u;
        first = sum.y;
        if even > 0u {
            first = (sum.y << even) | (sum.x >> (32u - even));
        }
    }
    unit = Unit(up, reciprocal(isqrt(first)), i32(even / 2u) - 30);
}

fn apply(x: i32, gain: i32) -> i32 {
    return mul16(mul16(x << unit.up, unit.factor), gain);
}

fn apply4(x: vec4<i32>, gain: vec4<i32>) -> vec4<i32> {
    return vec4<i32>(apply(x.x, gain.x), apply(x.y, gain.y), apply(x.z, gain.z), apply(x.w, gain.w));
}
