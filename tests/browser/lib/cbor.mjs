// The CBOR (RFC 8949) of messages between node and relay, written again here so that it is not only
// checked by the code that made it. Maps have numbers as keys, and are `Map`s.

function head(major, value) {
  const count = BigInt(value);
  if (count < 24n) return Buffer.from([major << 5 | Number(count)]);
  const size = [1, 2, 4, 8].find(size => count < 1n << BigInt(8 * size));
  const bytes = Buffer.alloc(1 + size);
  bytes[0] = major << 5 | 24 + Math.log2(size);
  bytes.fill(Buffer.from(count.toString(16).padStart(2 * size, '0'), 'hex'), 1);
  return bytes;
}

export function encode(value) {
  if (typeof value === 'number' || typeof value === 'bigint') return head(0, value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(encode)]);
  if (value instanceof Map) return Buffer.concat([head(5, value.size), ...[...value].flat().map(encode)]);
  throw new Error(`no CBOR here for ${value}`);
}

export function decode(bytes) {
  let at = 0;
  const take = size => {
    at += size;
    if (at > bytes.length) throw new Error('the CBOR ends early');
    return bytes.subarray(at - size, at);
  };
  const item = () => {
    const [first] = take(1);
    const [major, low] = [first >> 5, first & 31];
    if (major === 7) return undefined; // null
    if (low > 27) throw new Error('no length');
    const count = low < 24 ? low : Number(`0x${Buffer.from(take(1 << low - 24)).toString('hex')}`);
    const items = size => Array.from({ length: size }, item);
    if (major === 0) return count;
    if (major === 2) return Buffer.from(take(count));
    if (major === 3) return Buffer.from(take(count)).toString();
    if (major === 4) return items(count);
    if (major === 5) return new Map(Array.from({ length: count }, () => [item(), item()]));
    throw new Error(`no message has CBOR of type ${major}`);
  };
  const value = item();
  if (at !== bytes.length) throw new Error('bytes follow the CBOR');
  return value;
}

/** A message's number and its fields. */
export function read(bytes) {
  const [number, fields] = decode(bytes);
  return { number, fields: Array.isArray(fields) ? fields[0] ?? new Map() : fields };
}
