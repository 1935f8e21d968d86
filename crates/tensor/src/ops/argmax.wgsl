// For each row the column of its largest value, of equal ones the first; a workgroup for each row.
struct Params {
    cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<i32>;
@group(0) @binding(2) var<storage, read_write> found: array<u32>;

var<workgroup> best: atomic<i32>;
var<workgroup> first: atomic<u32>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    if lane == 0u {
        atomicStore(&best, -0x7fffffff - 1);
        atomicStore(&first, 0xffffffffu);
    }
    workgroupBarrier();
    var top = -0x7fffffff - 1;
    var at = min(lane, params.cols - 1u);
    for (var col = lane; col < params.cols; col += 128u) {
        let v = data[group.x * params.cols + col];
        if v > top {
            top = v;
            at = col;
        }
    }
    atomicMax(&best, top);
    workgroupBarrier();
    if top == atomicLoad(&best) {
        atomicMin(&first, at);
    }
    workgroupBarrier();
    if lane == 0u {
        found[group.x] = atomicLoad(&first);
    }
}
