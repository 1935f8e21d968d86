// Second pass: each score becomes its weight, and the sum of the weights is taken; a workgroup for
// each query and head.
@group(0) @binding(1) var<storage, read> sight: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> tables: array<i32>;
@group(0) @binding(3) var<storage, read_write> scores: array<i32>;
@group(0) @binding(4) var<storage, read_write> sums: array<u32>;

var<workgroup> top: atomic<i32>;
var<workgroup> total: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let seen = sight[params.token + group.y];
    let count = seen.y - seen.x;
    let row = group.y * params.heads + group.x;
    let first = row * params.stride;
    if lane == 0u {
        atomicStore(&top, -0x7fffffff - 1);
        atomicStore(&total, 0u);
    }
    workgroupBarrier();
    var most = -0x7fffffff - 1;
    for (var i = lane; i < count; i += 64u) {
        most = max(most, scores[first + i]);
    }
    atomicMax(&top, most);
    workgroupBarrier();
    most = atomicLoad(&top);
    var sum = 0u;
    for (var i = lane; i < count; i += 64u) {
        let weight = exp2_neg(u32(most - scores[first + i]));
        scores[first + i] = i32(weight);
        sum += weight;
    }
    atomicAdd(&total, sum);
    workgroupBarrier();
    if lane == 0u {
        sums[row] = atomicLoad(&total);
    }
}
