// Third pass: the weighted sum of the values; a workgroup for each query, head and block of 32
// columns, in which 16 threads take a pair of columns each, of every eighth key.
@group(0) @binding(1) var<storage, read> sight: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> weights: array<i32>;
@group(0) @binding(3) var<storage, read> sums: array<u32>;
@group(0) @binding(4) var<storage, read> cache: array<u32>;
@group(0) @binding(5) var<storage, read> cache_scales: array<i32>;
@group(0) @binding(6) var<storage, read_write> out: array<i32>;
@group(0) @binding(7) var<storage, read_write> out_scales: array<i32>;

const VALUE_BITS = 11;

var<workgroup> top: atomic<i32>;
var<workgroup> totals: array<atomic<i32>, 32>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let head = group.x / params.blocks;
    let token = params.token + group.y;
    let seen = sight[token];
    let count = seen.y - seen.x;
    let row = group.y * params.heads + head;
    let step = params.kv * params.blocks;
    let first = params.values + key_block(seen.x, head) + group.x % params.blocks;
    if lane == 0u {
        atomicStore(&top, -0x7fffffff);
    }
    if lane < 32u {
        atomicStore(&totals[lane], 0);
    }
    workgroupBarrier();
    var most = -0x7fffffff;
    for (var i = lane; i < count; i += 128u) {
        most = max(most, cache_scales[first + i * step]);
    }
    atomicMax(&top, most);
    workgroupBarrier();
    most = atomicLoad(&top);
    let sum = sums[row];
    let base = max(bits(sum) - (30 - VALUE_BITS), 0);
    let pair = lane % 16u;
    var low = 0;
    var high = 0;
    for (var i = lane / 16u; i < count; i += 8u) {
        let block = first + i * step;
        let weight = rshift(weights[row * params.stride + i], base + most - cache_scales[block]);
        if weight != 0 {
            let word = i32(cache[block * 16u + pair]);
            low += weight * ((word << 16u) >> 16u);
            high += weight * (word >> 16u);
        }
    }
    atomicAdd(&totals[pair * 2u], low);
    atomicAdd(&totals[pair * 2u + 1u], high);
    workgroupBarrier();
    let zeros = countLeadingZeros(sum);
    let block = token * params.heads * params.blocks + group.x;
    if lane < 32u {
        out[block * 32u + lane] = mul16(atomicLoad(&totals[lane]), reciprocal((sum << zeros) >> 16u));
    }
    if lane == 0u {
        out_scales[block] = i32(zeros) - 31 + most + base;
    }
}
