// Reads the packs that crates/engine/examples/engine-cases writes.

/** The cases of the pack at `url`, and a function that gives a range of its bytes. */
export async function readPack(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  const file = await response.arrayBuffer();
  const start = 4 + new DataView(file).getUint32(0, true);
  const cases = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 4, start - 4)));
  return { cases, bytes: ([at, length]) => new Uint8Array(file, start + at, length) };
}
