// How many dot products of four bytes a device does when it does nothing else: eight sums of four
// in each thread, kept in registers. What is written only keeps the work from being left out.
struct Params {
    rounds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let w = vec4<u32>(id.x, id.x * 3u, id.x * 5u, id.x * 7u);
    let v = w * 11u;
    var a = vec4<i32>(0);
    var b = vec4<i32>(0);
    for (var i = 0u; i < params.rounds; i += 1u) {
        let x = i * 0x01030507u;
        a += dot4(w, x) + dot4(v, x + 1u);
        b += dot4(w, x + 2u) + dot4(v, x + 3u);
    }
    let sum = a ^ b;
    out[id.x] = sum.x ^ sum.y ^ sum.z ^ sum.w;
}
