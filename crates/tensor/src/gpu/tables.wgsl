// The tables of tables.rs, one after the other, and the functions that read them.
const EXP2 = 0u;
const SINE = 257u;
const SIGMOID = 514u;
const PHI = 1027u;

fn exp2_neg(d: u32) -> u32 {
    let whole = d >> 16u;
    if whole > 18u {
        return 0u;
    }
    let at = EXP2 + ((d & 0xffffu) >> 8u);
    let a = tables[at];
    return u32(a - (((a - tables[at + 1u]) * i32(d & 0xffu)) >> 8u)) >> whole;
}

fn sine(phase: u32) -> i32 {
    var within = phase & 0x3fffffffu;
    if (phase & 0x40000000u) != 0u {
        within = 0x40000000u - within;
    }
    let index = within >> 22u;
    let a = tables[SINE + index];
    let b = tables[SINE + min(index + 1u, 256u)];
    let value = a + (((b - a) * i32((within >> 6u) & 0xffffu)) >> 16u);
    return select(value, -value, (phase & 0x80000000u) != 0u);
}

fn cosine(phase: u32) -> i32 {
    return sine(phase + 0x40000000u);
}

// |x| of a value x * 2^exponent, in Q16, cut off at 16.0.
fn magnitude(x: i32, exponent: i32) -> u32 {
    let top = 16u << 16u;
    let m = bitcast<u32>(abs(x));
    let shift = exponent + 16;
    if shift >= 0 {
        if bits(m) + shift > 20 {
            return top;
        }
        return m << u32(shift);
    }
    if shift < -31 {
        return 0u;
    }
    return min(m >> u32(-shift), top);
}

// The table at `first`, whose last entry is `last` and whose entries lie 2^shift apart.
fn lookup(first: u32, last: u32, shift: u32, x: i32, exponent: i32) -> i32 {
    let a = magnitude(x, exponent);
    let index = a >> shift;
    var y = tables[first + index];
    let next = tables[first + min(index + 1u, last)];
    y += ((next - y) * i32(a & ((1u << shift) - 1u))) >> shift;
    if x < 0 {
        y = 65536 - y;
    }
    return min(y, 65535);
}

fn sigmoid(x: i32, exponent: i32) -> i32 {
    return lookup(SIGMOID, 512u, 11u, x, exponent);
}

fn phi(x: i32, exponent: i32) -> i32 {
    return lookup(PHI, 1024u, 10u, x, exponent);
}
