// Primes by the sieve of Eratosthenes, segment by segment.
#include "program.h"

enum { SEGMENT = 1 << 18, SMALL = 1 << 14 };

static uint32_t primes[2048];
static uint32_t prime_count;
static uint8_t composite[SEGMENT];

HOT static void find_small_primes(void) {
    memset(composite, 0, SMALL);
    for (uint32_t number = 2; number < SMALL; number++) {
        if (composite[number]) continue;
        primes[prime_count++] = number;
        for (uint32_t multiple = number * number; number < 128 && multiple < SMALL; multiple += number) {
            composite[multiple] = 1;
        }
    }
}

HOT static void cross_out(uint32_t prime, uint32_t from) {
    uint32_t first = prime * prime > from ? prime * prime : (from + prime - 1) / prime * prime;
    for (uint32_t at = first - from; at < SEGMENT; at += prime) {
        composite[at] = 1;
    }
}

HOT static uint32_t count(void) {
    uint32_t found = 0;
    for (uint32_t at = 0; at < SEGMENT; at++) {
        found += !composite[at];
    }
    return found;
}

static void sieve(uint32_t round) {
    if (prime_count == 0) find_small_primes();
    uint32_t from = (round % 500 + 1) * SEGMENT;
    memset(composite, 0, SEGMENT);
    for (uint32_t at = 0; at < prime_count && primes[at] * primes[at] < from + SEGMENT; at++) {
        cross_out(primes[at], from);
    }
    uint32_t found = count();
    check_bytes(&found, sizeof found);
}

int main(int argc, char **argv) {
    return run("sieve", argc, argv, sieve);
}
