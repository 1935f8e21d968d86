// Sums of eight rows over `lanes` threads (a power of two) from thread `own`, by halves.
var<workgroup> parts: array<array<vec4<i32>, 2>, 64>;

fn reduce(own: u32, lane: u32, lanes: u32, s: vec4<i32>, t: vec4<i32>) {
    parts[own + lane][0] = s;
    parts[own + lane][1] = t;
    for (var half = lanes / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            parts[own + lane][0] += parts[own + lane + half][0];
            parts[own + lane][1] += parts[own + lane + half][1];
        }
    }
    workgroupBarrier();
}

fn reduced(own: u32, row: u32) -> i32 {
    return parts[own][row / 4u][row % 4u];
}
