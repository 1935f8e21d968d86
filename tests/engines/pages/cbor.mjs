// As much CBOR (RFC 8949) as crates/contexts/src/messages.rs speaks.

/** An `f64`, which JavaScript's numbers don't tell from integers. */
export class Float {
  constructor(value) {
    this.value = value;
  }
}

export function encode(value) {
  const parts = [];
  const head = (major, count) => {
    const bytes = new Uint8Array(5);
    bytes[0] = (major << 5) | 26;
    new DataView(bytes.buffer).setUint32(1, count);
    parts.push(bytes);
  };
  const put = item => {
    if (Array.isArray(item)) {
      head(4, item.length);
      item.forEach(put);
    } else if (item instanceof Uint8Array) {
      head(2, item.length);
      parts.push(item);
    } else if (typeof item === 'string') {
      const bytes = new TextEncoder().encode(item);
      head(3, bytes.length);
      parts.push(bytes);
    } else if (item === null) {
      parts.push(Uint8Array.of(0xf6));
    } else if (item instanceof Float) {
      const bytes = new Uint8Array(9);
      bytes[0] = 0xfb;
      new DataView(bytes.buffer).setFloat64(1, item.value);
      parts.push(bytes);
    } else {
      head(0, item);
    }
  };
  put(value);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function decode(buffer) {
  const view = new DataView(buffer);
  let at = 0;
  const count = low => {
    if (low < 24) return low;
    const width = 1 << (low - 24);
    at += width;
    if (width === 1) return view.getUint8(at - 1);
    if (width === 2) return view.getUint16(at - 2);
    if (width === 4) return view.getUint32(at - 4);
    return Number(view.getBigUint64(at - 8));
  };
  const take = length => new Uint8Array(buffer, (at += length) - length, length);
  const item = () => {
    const byte = view.getUint8(at);
    at += 1;
    const [major, low] = [byte >> 5, byte & 31];
    if (major === 7) {
      if (byte === 0xf6) return null;
      if (byte === 0xf4 || byte === 0xf5) return byte === 0xf5;
      if (byte !== 0xfb) throw new Error(`CBOR byte ${byte}`);
      return view.getFloat64((at += 8) - 8);
    }
    const size = count(low);
    if (major === 0) return size;
    if (major === 1) return -1 - size;
    if (major === 2) return take(size);
    if (major === 3) return new TextDecoder().decode(take(size));
    if (major === 4) return Array.from({ length: size }, item);
    throw new Error(`CBOR major type ${major}`);
  };
  return item();
}
