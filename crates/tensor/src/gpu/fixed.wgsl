// Fixed-point primitives in 32 bits: docs/arithmetic.md, "Primitives". Each is named as in fixed.rs
// and has its value for every input. WGSL takes shift amounts modulo 32, so each is bounded first.

// floor(x * g / 2^16), |g| <= 2^16.
fn mul16(x: i32, g: i32) -> i32 {
    let low = u32(x & 0xffff);
    var rest: i32;
    if g >= 0 {
        rest = i32((low * u32(g)) >> 16u);
    } else {
        rest = -i32((low * u32(-g) + 65535u) >> 16u);
    }
    return (x >> 16u) * g + rest;
}

// floor(a * b / 2^32), from four 16-bit products.
fn mul_high(a: i32, b: i32) -> i32 {
    let al = u32(a & 0xffff);
    let bl = u32(b & 0xffff);
    let ah = a >> 16u;
    let bh = b >> 16u;
    let t = ah * i32(bl) + i32((al * bl) >> 16u);
    let u = i32(al) * bh + (t & 0xffff);
    return ah * bh + (t >> 16u) + (u >> 16u);
}

fn rshift(x: i32, s: i32) -> i32 {
    if s > 31 {
        return 0;
    }
    if s > 0 {
        return (x >> u32(s)) + ((x >> u32(s - 1)) & 1);
    }
    if s == 0 {
        return x;
    }
    // What a shift by 31 leaves of any number is saturated or zero, as by any larger one.
    let n = u32(min(-s, 31));
    let y = x << n;
    if (y >> n) == x {
        return max(y, -0x7fffffff);
    }
    return select(-0x7fffffff, 0x7fffffff, x > 0);
}

// The same for four numbers and s >= 0.
fn rshift4(x: vec4<i32>, s: i32) -> vec4<i32> {
    if s > 31 {
        return vec4<i32>(0);
    }
    if s == 0 {
        return x;
    }
    return (x >> vec4<u32>(u32(s))) + ((x >> vec4<u32>(u32(s - 1))) & vec4<i32>(1));
}

// The sum cut off at -2^31 and 2^31 - 1.
fn saturating_add(a: i32, b: i32) -> i32 {
    let sum = a + b;
    if ((a ^ sum) & (b ^ sum)) < 0 {
        return select(0x7fffffff, -0x7fffffff - 1, a < 0);
    }
    return sum;
}

fn bits(x: u32) -> i32 {
    return 32 - i32(countLeadingZeros(x));
}

// The magnitudes of four numbers; of -2^31 too.
fn magnitudes(x: vec4<i32>) -> vec4<u32> {
    return bitcast<vec4<u32>>(abs(x));
}

fn largest(x: vec4<i32>) -> u32 {
    let m = magnitudes(x);
    return max(max(m.x, m.y), max(m.z, m.w));
}

// 2^31 / s for s in [2^15, 2^16].
fn reciprocal(s: u32) -> i32 {
    return i32(min(0x80000000u / s, 65535u));
}

fn isqrt(m: u32) -> u32 {
    var rest = m;
    var root = 0u;
    for (var bit = 1u << 30u; bit != 0u; bit >>= 2u) {
        if rest >= root + bit {
            rest -= root + bit;
            root = (root >> 1u) + bit;
        } else {
            root >>= 1u;
        }
    }
    return root;
}
