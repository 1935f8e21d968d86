// Four products each of the signed bytes of four words with those of x, summed.
fn dot4(w: vec4<u32>, x: u32) -> vec4<i32> {
    return vec4<i32>(
        dot4I8Packed(w.x, x),
        dot4I8Packed(w.y, x),
        dot4I8Packed(w.z, x),
        dot4I8Packed(w.w, x),
    );
}
