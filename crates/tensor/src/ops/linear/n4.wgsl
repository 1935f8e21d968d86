// Four rows of a block of N4: numbers 8 too large, in the order that two masks give.
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
    minimum: vec4<i32>,
}

fn quad(group: u32, block: u32, index: u32) -> Quad {
    let at = (group * params.blocks + block) * 10u;
    let numbers = at + 2u + index * 4u;
    let mask = vec4<u32>(0x0f0f0f0fu);
    let four = vec4<u32>(4u);
    let half = vec4<u32>(16u);
    let w0 = weights[numbers];
    let w1 = weights[numbers + 1u];
    let w2 = weights[numbers + 2u];
    let w3 = weights[numbers + 3u];
    let scales = bitcast<vec4<i32>>(weights[at + index]);
    return Quad(
        w0 & mask, (w0 >> four) & mask,
        w1 & mask, (w1 >> four) & mask,
        w2 & mask, (w2 >> four) & mask,
        w3 & mask, (w3 >> four) & mask,
        (scales << half) >> half,
        scales >> half,
    );
}

fn times(w: Quad, x: Input) -> vec4<i32> {
    let high = dot4(w.a0, x.a.x) + dot4(w.b0, x.a.y) + dot4(w.a1, x.a.z) + dot4(w.b1, x.a.w)
        + dot4(w.a2, x.b.x) + dot4(w.b2, x.b.y) + dot4(w.a3, x.b.z) + dot4(w.b3, x.b.w);
    let low = dot4(w.a0, x.c.x) + dot4(w.b0, x.c.y) + dot4(w.a1, x.c.z) + dot4(w.b1, x.c.w)
        + dot4(w.a2, x.d.x) + dot4(w.b2, x.d.y) + dot4(w.a3, x.d.z) + dot4(w.b3, x.d.w);
    let dot = (high << vec4<u32>(7u)) + low - vec4<i32>(x.sum * 8);
    let total = rounded(vec4<i32>(x.sum), params.dot_shift);
    let product = rounded(dot, params.dot_shift) * w.scale + total * w.minimum;
    return rounded(product, params.sum_shift + x.shift);
}
