// Sums of eight rows over a workgroup: each subgroup adds up by itself, then one of its threads adds
// that to the workgroup's. Which threads make a subgroup doesn't matter.
var<workgroup> parts: array<atomic<i32>, 8>;

fn reduce(own: u32, lane: u32, lanes: u32, s: vec4<i32>, t: vec4<i32>) {
    if lane < 8u {
        atomicStore(&parts[lane], 0);
    }
    workgroupBarrier();
    let a = subgroupAdd(s);
    let b = subgroupAdd(t);
    // The first of the subgroup: none of its threads comes before.
    if subgroupExclusiveAdd(1u) == 0u {
        atomicAdd(&parts[0], a.x);
        atomicAdd(&parts[1], a.y);
        atomicAdd(&parts[2], a.z);
        atomicAdd(&parts[3], a.w);
        atomicAdd(&parts[4], b.x);
        atomicAdd(&parts[5], b.y);
        atomicAdd(&parts[6], b.z);
        atomicAdd(&parts[7], b.w);
    }
    workgroupBarrier();
}

fn reduced(own: u32, row: u32) -> i32 {
    return atomicLoad(&parts[row]);
}
