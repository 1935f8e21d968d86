// A blur of five by five pixels in vectors of eight 16-bit lanes.
#include "program.h"

typedef uint8_t bytes8 __attribute__((vector_size(8)));
typedef uint16_t lanes8 __attribute__((vector_size(16)));

enum { WIDTH = 512, HEIGHT = 256, EDGE = 8, LINE = WIDTH + 2 * EDGE };

static uint8_t picture[(HEIGHT + 4) * LINE];
static uint16_t sums[LINE];

static inline lanes8 read_bytes(const uint8_t *at) {
    bytes8 bytes;
    memcpy(&bytes, at, sizeof bytes);
    return __builtin_convertvector(bytes, lanes8);
}

static inline lanes8 read_lanes(const uint16_t *at) {
    lanes8 lanes;
    memcpy(&lanes, at, sizeof lanes);
    return lanes;
}

// Weights 1 4 6 4 1 down the columns.
HOT static void down(const uint8_t *top) {
    for (size_t x = 0; x < LINE; x += 8) {
        lanes8 sum = read_bytes(top + x) + read_bytes(top + x + 4 * LINE);
        sum += (read_bytes(top + x + LINE) + read_bytes(top + x + 3 * LINE)) * 4;
        sum += read_bytes(top + x + 2 * LINE) * 6;
        memcpy(sums + x, &sum, sizeof sum);
    }
}

// The same weights along the line, rounded to bytes.
HOT static void along(uint8_t *line) {
    for (size_t x = EDGE; x < EDGE + WIDTH; x += 8) {
        lanes8 sum = read_lanes(sums + x - 2) + read_lanes(sums + x + 2);
        sum += (read_lanes(sums + x - 1) + read_lanes(sums + x + 1)) * 4;
        sum += read_lanes(sums + x) * 6;
        bytes8 bytes = __builtin_convertvector((sum + 128) >> 8, bytes8);
        memcpy(line + x, &bytes, sizeof bytes);
    }
}

static void blur(uint32_t round) {
    static uint64_t state = 21;
    for (size_t at = round % 7; at < sizeof picture; at += 29) picture[at] = (uint8_t)next_random(&state);
    for (size_t y = 0; y < HEIGHT; y++) {
        down(picture + y * LINE);
        along(picture + (y + 2) * LINE);
    }
    check_bytes(picture + 100 * LINE, 4 * LINE);
}

int main(int argc, char **argv) {
    return run("simd-blur", argc, argv, blur);
}
