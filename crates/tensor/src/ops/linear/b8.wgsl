// Four rows of a block of B8, in the order that activations have.
struct Quad {
    a0: vec4<u32>,
    b0: vec4<u32>,
    a1: vec4<u32>,
    b1: vec4<u32>,
    a2: vec4<u32>,
    b2: vec4<u32>,
    a3: vec4<u32>,
    b3: vec4<u32>,
    scale: vec4<i32>,
}

const EVEN = vec4<u32>(0x00ff00ffu);
const ODD = vec4<u32>(0xff00ff00u);
const EIGHT = vec4<u32>(8u);

// From columns 0 2 1 3 and 4 6 5 7 to 0 4 1 5 and 2 6 3 7.
fn first(v: vec4<u32>, w: vec4<u32>) -> vec4<u32> {
    return (v & EVEN) | ((w & EVEN) << EIGHT);
}

fn second(v: vec4<u32>, w: vec4<u32>) -> vec4<u32> {
    return ((v >> EIGHT) & EVEN) | (w & ODD);
}

fn quad(group: u32, block: u32, index: u32) -> Quad {
    let at = (group * params.blocks + block) * 17u;
    let numbers = at + 1u + index * 8u;
    let w0 = weights[numbers];
    let w1 = weights[numbers + 1u];
    let w2 = weights[numbers + 2u];
    let w3 = weights[numbers + 3u];
    let w4 = weights[numbers + 4u];
    let w5 = weights[numbers + 5u];
    let w6 = weights[numbers + 6u];
    let w7 = weights[numbers + 7u];
    let half = vec4<u32>(16u);
    let scales = bitcast<vec4<i32>>(weights[at] << vec4<u32>(16u - index * 16u)) >> half;
    return Quad(
        first(w0, w1), second(w0, w1),
        first(w2, w3), second(w2, w3),
        first(w4, w5), second(w4, w5),
        first(w6, w7), second(w6, w7),
        scales,
    );
}

fn times(w: Quad, x: Input) -> vec4<i32> {
    let high = dot4(w.a0, x.a.x) + dot4(w.b0, x.a.y) + dot4(w.a1, x.a.z) + dot4(w.b1, x.a.w)
        + dot4(w.a2, x.b.x) + dot4(w.b2, x.b.y) + dot4(w.a3, x.b.z) + dot4(w.b3, x.b.w);
    let low = dot4(w.a0, x.c.x) + dot4(w.b0, x.c.y) + dot4(w.a1, x.c.z) + dot4(w.b1, x.c.w)
        + dot4(w.a2, x.d.x) + dot4(w.b2, x.d.y) + dot4(w.a3, x.d.z) + dot4(w.b3, x.d.w);
    let dot = (high << vec4<u32>(7u)) + low;
    return rounded(rounded(dot, params.dot_shift) * w.scale, params.sum_shift + x.shift);
}
