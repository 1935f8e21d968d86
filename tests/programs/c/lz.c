// Compression in the manner of LZ4: a hash of four bytes finds matches; what
// was packed is unpacked and compared.
#include "program.h"

enum { SIZE = 1 << 18, TABLE = 1 << 14, SHORTEST = 4, FARTHEST = 65535 };

static uint8_t source[SIZE], packed[2 * SIZE], unpacked[SIZE];
static uint32_t table[TABLE];

static inline uint32_t read32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

// A length as LZ4 writes what doesn't fit the token: bytes of 255 and a rest.
static uint8_t *put_length(uint8_t *out, size_t length) {
    for (; length >= 255; length -= 255) *out++ = 255;
    *out++ = (uint8_t)length;
    return out;
}

HOT static uint8_t *put_sequence(uint8_t *out, const uint8_t *literals, size_t count, size_t offset,
                                 size_t length) {
    *out++ = (uint8_t)((count < 15 ? count : 15) << 4 | (length < 15 ? length : 15));
    if (count >= 15) out = put_length(out, count - 15);
    memcpy(out, literals, count);
    out += count;
    *out++ = (uint8_t)offset;
    *out++ = (uint8_t)(offset >> 8);
    if (length >= 15) out = put_length(out, length - 15);
    return out;
}

HOT static size_t match_length(const uint8_t *a, const uint8_t *b, const uint8_t *end) {
    const uint8_t *start = b;
    while (b < end && *a == *b) a++, b++;
    return (size_t)(b - start);
}

HOT static size_t pack(void) {
    memset(table, 0, sizeof table);
    uint8_t *out = packed;
    size_t literals = 0, at = 1;
    while (at + SHORTEST < SIZE) {
        uint32_t hash = read32(source + at) * UINT32_C(2654435761) >> 18;
        size_t before = table[hash];
        table[hash] = (uint32_t)at;
        if (at - before > FARTHEST || read32(source + before) != read32(source + at)) {
            at++;
            continue;
        }
        size_t length = match_length(source + before + SHORTEST, source + at + SHORTEST, source + SIZE);
        out = put_sequence(out, source + literals, at - literals, at - before, length);
        at += length + SHORTEST;
        literals = at;
    }
    out = put_sequence(out, source + literals, SIZE - literals, 0, 0);
    return (size_t)(out - packed);
}

static size_t get_length(const uint8_t **in, size_t length) {
    if (length == 15) {
        uint8_t more;
        do length += more = *(*in)++;
        while (more == 255);
    }
    return length;
}

HOT static size_t unpack(size_t size) {
    const uint8_t *in = packed, *end = packed + size;
    uint8_t *out = unpacked;
    while (in < end) {
        uint8_t token = *in++;
        size_t literals = get_length(&in, token >> 4);
        memcpy(out, in, literals);
        out += literals;
        in += literals;
        size_t offset = in[0] | (size_t)in[1] << 8;
        in += 2;
        if (offset == 0) break;
        size_t length = get_length(&in, token & 15) + SHORTEST;
        for (const uint8_t *from = out - offset; length > 0; length--) *out++ = *from++;
    }
    return (size_t)(out - unpacked);
}

// Bytes that repeat earlier ones about as often as text does.
static void make_source(void) {
    uint64_t state = 20;
    for (size_t at = 0; at < SIZE;) {
        uint64_t number = next_random(&state);
        size_t length = 3 + number % 13, back = 1 + (number >> 8) % 9000;
        for (; length > 0 && at < SIZE; length--, at++) {
            source[at] = at > back && (number & 0x70) ? source[at - back] : (uint8_t)(number >> (length + 20));
        }
    }
}

static void lz(uint32_t round) {
    if (round == 0) make_source();
    size_t size = pack();
    if (unpack(size) != SIZE || memcmp(source, unpacked, SIZE) != 0) abort();
    check_bytes(&(uint32_t){(uint32_t)size}, 4);
    check_bytes(packed, 4096);
    for (size_t at = round % 97; at < SIZE; at += 997) source[at] += 41;
}

int main(int argc, char **argv) {
    return run("lz", argc, argv, lz);
}
