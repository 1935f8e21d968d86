// One token, or few: LANES threads share the blocks of eight rows and add up what they have. Sums of
// integers are the same in any order.
override GROUPS: u32 = 1u;
override LANES: u32 = 64u;

@compute @workgroup_size(LANES, GROUPS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let group = params.first + workgroup.x * GROUPS + local.y;
    let token = params.token + workgroup.y;
    var s = vec4<i32>(0);
    var t = vec4<i32>(0);
    if group < params.end {
        for (var block = local.x; block < params.blocks; block += LANES) {
            let x = input(token, block);
            s += times(quad(group, block, 0u), x);
            t += times(quad(group, block, 1u), x);
        }
    }
    let own = local.y * LANES;
    reduce(own, local.x, LANES, s, t);
    if group < params.end {
        for (var r = local.x; r < 8u; r += LANES) {
            finish(token, group * 8u + r, reduced(own, r));
        }
    }
}
