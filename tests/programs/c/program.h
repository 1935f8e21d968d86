// What the programs in C share; see src/lib.rs, which does the same for Rust.
#ifndef PROGRAM_H
#define PROGRAM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Keeps a function that does the work from being merged into its caller's loop.
#define HOT __attribute__((noinline))

static uint64_t checksum = UINT64_C(0xcbf29ce484222325);

// Adds bytes to the checksum: FNV-1a, 64 bits.
static void check_bytes(const void *data, size_t length) {
    const uint8_t *bytes = data;
    for (size_t at = 0; at < length; at++) {
        checksum = (checksum ^ bytes[at]) * UINT64_C(0x100000001b3);
    }
}

// Numbers from a seed: xorshift64*.
static inline uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

// `PROGRAM ROUNDS`, then prints `PROGRAM ROUNDS CHECKSUM`.
static int run(const char *name, int argc, char **argv, void (*round)(uint32_t)) {
    char *end = NULL;
    unsigned long rounds = argc == 2 ? strtoul(argv[1], &end, 10) : 0;
    if (argc != 2 || *argv[1] == '\0' || *end != '\0') {
        fprintf(stderr, "usage: %s ROUNDS\n", name);
        return 2;
    }
    for (unsigned long number = 0; number < rounds; number++) {
        round((uint32_t)number);
    }
    printf("%s %lu %016" PRIx64 "\n", name, rounds, checksum);
    return 0;
}

#endif
