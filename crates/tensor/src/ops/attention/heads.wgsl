// What the three passes of attention share. Scores of query t and head h lie at (t * heads + h) *
// stride, a key each, from the first that the query sees.
struct Params {
    heads: u32,
    // Query heads to a head of keys.
    per: u32,
    kv: u32,
    // Blocks of a head.
    blocks: u32,
    // The first query of this dispatch; scores are counted from it.
    token: u32,
    stride: u32,
    // The first block of the values, after those of the keys.
    values: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

// The first block of a head's keys at a position.
fn key_block(position: u32, head: u32) -> u32 {
    return (position * params.kv + head / params.per) * params.blocks;
}
