// Four products each of the signed bytes of four words with those of x, summed.
fn dot4(w: vec4<u32>, x: u32) -> vec4<i32> {
    let v = bitcast<vec4<i32>>(w);
    let y = i32(x);
    let top = vec4<u32>(24u);
    return ((v << top) >> top) * ((y << 24u) >> 24u)
        + ((v << vec4<u32>(16u)) >> top) * ((y << 16u) >> 24u)
        + ((v << vec4<u32>(8u)) >> top) * ((y << 8u) >> 24u)
        + (v >> top) * (y >> 24u);
}
