// Products of matrices in vectors of four f32.
#include "program.h"

typedef float lanes4 __attribute__((vector_size(16)));

enum { SIDE = 128, LANES = 4, COLUMNS = SIDE / LANES };

static lanes4 a[SIDE][COLUMNS], b[SIDE][COLUMNS], c[SIDE][COLUMNS];

// Four rows of the product, sixteen columns at a time.
HOT static void four_rows(size_t row) {
    for (size_t column = 0; column < COLUMNS; column += 4) {
        lanes4 sum[4][4] = {0};
        for (size_t inner = 0; inner < SIDE; inner++) {
            for (size_t y = 0; y < 4; y++) {
                float factor = a[row + y][inner / LANES][inner % LANES];
                lanes4 factors = {factor, factor, factor, factor};
                for (size_t x = 0; x < 4; x++) sum[y][x] += factors * b[inner][column + x];
            }
        }
        for (size_t y = 0; y < 4; y++) memcpy(&c[row + y][column], sum[y], sizeof sum[y]);
    }
}

static void fill(lanes4 (*matrix)[COLUMNS], uint64_t seed) {
    for (size_t row = 0; row < SIDE; row++) {
        for (size_t column = 0; column < SIDE; column++) {
            int32_t number = (int32_t)(next_random(&seed) >> 40) - (1 << 23);
            matrix[row][column / LANES][column % LANES] = (float)number / (1 << 26);
        }
    }
}

static void product(uint32_t round) {
    if (round % 16 == 0) {
        fill(a, 22 + round);
        fill(b, 23 + round);
    }
    for (size_t row = 0; row < SIDE; row += 4) four_rows(row);
    memcpy(a, c, sizeof a);
    for (size_t row = 0; row < SIDE; row++) check_bytes(c[row], 64);
}

int main(int argc, char **argv) {
    return run("simd-matrix", argc, argv, product);
}
