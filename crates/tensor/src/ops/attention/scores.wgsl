// First pass: the score of each key that a query sees; a thread for each key.
@group(0) @binding(1) var<storage, read> queries: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> query_scales: array<i32>;
@group(0) @binding(3) var<storage, read> cache: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> cache_scales: array<i32>;
@group(0) @binding(5) var<storage, read> sight: array<vec2<u32>>;
@group(0) @binding(6) var<storage, read_write> scores: array<i32>;

fn products(a: vec4<u32>, b: vec4<u32>) -> i32 {
    let half = vec4<u32>(16u);
    let x = bitcast<vec4<i32>>(a);
    let y = bitcast<vec4<i32>>(b);
    let sum = ((x << half) >> half) * ((y << half) >> half) + (x >> half) * (y >> half);
    return sum.x + sum.y + sum.z + sum.w;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let head = id.y;
    let token = params.token + id.z;
    let seen = sight[token];
    if id.x >= seen.y - seen.x {
        return;
    }
    let query = (token * params.heads + head) * params.blocks;
    let key = key_block(seen.x + id.x, head);
    var score = 0;
    for (var b = 0u; b < params.blocks; b += 1u) {
        let q = (query + b) * 4u;
        let k = (key + b) * 4u;
        let dot = products(queries[q], cache[k]) + products(queries[q + 1u], cache[k + 1u])
            + products(queries[q + 2u], cache[k + 2u]) + products(queries[q + 3u], cache[k + 3u]);
        score = saturating_add(score, rshift(dot, -(query_scales[query + b] + cache_scales[key + b] + 16)));
    }
    scores[(id.z * params.heads + head) * params.stride + id.x] = score;
}
