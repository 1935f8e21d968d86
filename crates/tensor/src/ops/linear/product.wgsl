// Many tokens: a thread takes eight rows by four tokens in registers, and neighbouring threads share
// weights or inputs through the caches. No workgroup memory, no barriers.
override GROUPS: u32 = 8u;
override TILES: u32 = 8u;

@compute @workgroup_size(GROUPS, TILES)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let group = params.first + id.x;
    let token = params.token + id.y * 4u;
    if group >= params.end || token >= params.tokens {
        return;
    }
    let last = params.tokens - 1u;
    var s0 = vec4<i32>(0);
    var s1 = vec4<i32>(0);
    var s2 = vec4<i32>(0);
    var s3 = vec4<i32>(0);
    var t0 = vec4<i32>(0);
    var t1 = vec4<i32>(0);
    var t2 = vec4<i32>(0);
    var t3 = vec4<i32>(0);
    for (var block = 0u; block < params.blocks; block += 1u) {
        let x0 = input(token, block);
        let x1 = input(min(token + 1u, last), block);
        let x2 = input(min(token + 2u, last), block);
        let x3 = input(min(token + 3u, last), block);
        let upper = quad(group, block, 0u);
        s0 += times(upper, x0);
        s1 += times(upper, x1);
        s2 += times(upper, x2);
        s3 += times(upper, x3);
        let lower = quad(group, block, 1u);
        t0 += times(lower, x0);
        t1 += times(lower, x1);
        t2 += times(lower, x2);
        t3 += times(lower, x3);
    }
    write(token, group, s0, t0);
    write(token + 1u, group, s1, t1);
    write(token + 2u, group, s2, t2);
    write(token + 3u, group, s3, t3);
}

fn write(token: u32, group: u32, s: vec4<i32>, t: vec4<i32>) {
    if token < params.tokens {
        let row = group * 8u;
        finish(token, row, s.x);
        finish(token, row + 1u, s.y);
        finish(token, row + 2u, s.z);
        finish(token, row + 3u, s.w);
        finish(token, row + 4u, t.x);
        finish(token, row + 5u, t.y);
        finish(token, row + 6u, t.z);
        finish(token, row + 7u, t.w);
    }
}
