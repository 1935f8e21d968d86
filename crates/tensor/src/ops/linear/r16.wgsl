// Four rows of a block of R16: a word has two columns of a row, as a word of the input has.
struct Quad {
    w0: vec4<u32>,
    w1: vec4<u32>,
    w2: vec4<u32>,
    w3: vec4<u32>,
    w4: vec4<u32>,
    w5: vec4<u32>,
    w6: vec4<u32>,
    w7: vec4<u32>,
    w8: vec4<u32>,
    w9: vec4<u32>,
    w10: vec4<u32>,
    w11: vec4<u32>,
    w12: vec4<u32>,
    w13: vec4<u32>,
    w14: vec4<u32>,
    w15: vec4<u32>,
}

fn quad(group: u32, block: u32, index: u32) -> Quad {
    let at = (group * params.blocks + block) * 32u + index * 16u;
    return Quad(
        weights[at + 0u], weights[at + 1u], weights[at + 2u], weights[at + 3u],
        weights[at + 4u], weights[at + 5u], weights[at + 6u], weights[at + 7u],
        weights[at + 8u], weights[at + 9u], weights[at + 10u], weights[at + 11u],
        weights[at + 12u], weights[at + 13u], weights[at + 14u], weights[at + 15u],
    );
}

fn pairs(w: vec4<u32>, x: u32) -> vec4<i32> {
    let half = vec4<u32>(16u);
    let v = bitcast<vec4<i32>>(w);
    let y = i32(x);
    return ((v << half) >> half) * ((y << 16u) >> 16u) + (v >> half) * (y >> 16u);
}

fn times(w: Quad, x: Input) -> vec4<i32> {
    return pairs(w.w0, x.a.x) + pairs(w.w1, x.a.y) + pairs(w.w2, x.a.z) + pairs(w.w3, x.a.w)
        + pairs(w.w4, x.b.x) + pairs(w.w5, x.b.y) + pairs(w.w6, x.b.z) + pairs(w.w7, x.b.w)
        + pairs(w.w8, x.c.x) + pairs(w.w9, x.c.y) + pairs(w.w10, x.c.z) + pairs(w.w11, x.c.w)
        + pairs(w.w12, x.d.x) + pairs(w.w13, x.d.y) + pairs(w.w14, x.d.z) + pairs(w.w15, x.d.w);
}
