// One tile of a picture of the Mandelbrot set: the tile's description comes on
// standard input, the tile is written to /out/tile.ppm (or to the file that the
// first argument names, for a native build). README.md explains both formats.
//
// All arithmetic is +, -, *, / and comparisons of doubles, which IEEE 754
// rounds the same everywhere, and integers: no libm, and no fused operations
// (build with -ffp-contract=off). So each build gives the same bytes.

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 65536, MAX_TILE = 4096, MAX_ITERATIONS = 10000000, MAX_SAMPLES = 8 };

struct task {
    double picture[2];     // size in pixels
    double centre[2];      // real and imaginary part at the picture's centre
    double width[1];       // of the picture, in the complex plane
    double iterations[1];  // at most, for each sample
    double samples[1];     // for each pixel: this many squared
    double tile[4];        // left, top, width, height in pixels
};

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("mandelbrot: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

// Reads `count` numbers, and nothing after them but blanks.
static void read_numbers(const char *text, int line, double *numbers, int count) {
    for (int i = 0; i < count; i++) {
        char *end;
        numbers[i] = strtod(text, &end);
        // The bound also refuses infinities and NaN.
        if (end == text || !(numbers[i] > -1e9 && numbers[i] < 1e9))
            fail("line %d: the name needs %d number(s), each below 1e9", line, count);
        text = end;
    }
    if (text[strspn(text, " \t\r\n")] != '\0')
        fail("line %d: something follows the %d number(s)", line, count);
}

static bool whole(double number, double least, double most) {
    return number >= least && number <= most && number == (double)(int64_t)number;
}

static struct task read_task(FILE *input) {
    struct task task = {.samples = {1}};
    struct {
        const char *name;
        double *numbers;
        int count;
        bool found;
    } fields[] = {
        {"picture", task.picture, 2, false},       {"centre", task.centre, 2, false},
        {"width", task.width, 1, false},           {"iterations", task.iterations, 1, false},
        {"samples", task.samples, 1, true},        {"tile", task.tile, 4, false},
    };
    const size_t count = sizeof fields / sizeof *fields;
    char text[256];
    for (int line = 1; fgets(text, sizeof text, input); line++) {
        if (strlen(text) == sizeof text - 1)
            fail("line %d is too long", line);
        size_t start = strspn(text, " \t\r\n"), end = start + strcspn(text + start, " \t\r\n");
        if (start == end || text[start] == '#')
            continue;
        size_t i = 0;
        while (i < count && (strlen(fields[i].name) != end - start ||
                             memcmp(fields[i].name, text + start, end - start) != 0))
            i++;
        if (i == count)
            fail("line %d: unknown name \"%.*s\"", line, (int)(end - start), text + start);
        read_numbers(text + end, line, fields[i].numbers, fields[i].count);
        fields[i].found = true;
    }
    if (ferror(input))
        fail("standard input: %s", strerror(errno));
    for (size_t i = 0; i < count; i++)
        if (!fields[i].found)
            fail("the description has no \"%s\"", fields[i].name);

    if (!whole(task.picture[0], 1, MAX_SIDE) || !whole(task.picture[1], 1, MAX_SIDE))
        fail("picture: two whole numbers from 1 to %d are needed", MAX_SIDE);
    if (!whole(task.iterations[0], 1, MAX_ITERATIONS))
        fail("iterations: a whole number from 1 to %d is needed", MAX_ITERATIONS);
    if (!whole(task.samples[0], 1, MAX_SAMPLES))
        fail("samples: a whole number from 1 to %d is needed", MAX_SAMPLES);
    if (!(task.width[0] > 0))
        fail("width: it must be positive");
    for (int axis = 0; axis < 2; axis++)
        if (!whole(task.tile[axis], 0, MAX_SIDE) || !whole(task.tile[axis + 2], 1, MAX_TILE) ||
            task.tile[axis] + task.tile[axis + 2] > task.picture[axis])
            fail("tile: it must lie within the picture, its sides from 1 to %d", MAX_TILE);
    return task;
}

// Logarithm to base 2 of a finite x >= 1, in units of 2^-16, rounded down.
static int64_t log2_16(double x) {
    int64_t log = 0;
    for (; x >= 2; x /= 2)
        log++;
    for (int bit = 0; bit < 16; bit++) {
        x *= x;
        log *= 2;
        if (x >= 2) {
            x /= 2;
            log++;
        }
    }
    return log;
}

// Iterates z = z^2 + c. Returns 0 if z never got away, else the number of
// iterations it took plus the fraction that makes colours change smoothly, in
// units of 2^-16.
static int64_t escape(double re, double im, int64_t limit, uint64_t *iterations) {
    double x = 0, y = 0;
    for (int64_t n = 1; n <= limit; n++) {
        double next = x * x - y * y + re;
        y = 2 * x * y + im;
        x = next;
        double square = x * x + y * y;
        if (square > 65536) {
            *iterations += (uint64_t)n;
            // n + 6 - log2(log2 |z|^2). The last term is 4 at the bound and below 6
            // for the largest c, so what is returned is positive.
            double log = (double)log2_16(square) / 65536;
            return (n + 6) * 65536 - log2_16(log);
        }
    }
    *iterations += (uint64_t)limit;
    return 0;
}

// A colour of the closed gradient; a turn of it is 2^20 long.
static void add_colour(int64_t at, uint32_t sum[3]) {
    static const struct {
        int32_t at;
        uint8_t colour[3];
    } stops[] = {
        {0, {4, 8, 72}},          {168000, {24, 92, 190}},  {440000, {234, 250, 255}},
        {674000, {255, 168, 12}}, {898000, {48, 4, 26}},    {1 << 20, {4, 8, 72}},
    };
    int32_t turn = (int32_t)(at & ((1 << 20) - 1));
    int i = 0;
    while (turn >= stops[i + 1].at)
        i++;
    int32_t length = stops[i + 1].at - stops[i].at, into = turn - stops[i].at;
    for (int channel = 0; channel < 3; channel++) {
        int32_t from = stops[i].colour[channel], to = stops[i + 1].colour[channel];
        sum[channel] += (uint32_t)(from + (to - from) * into / length);
    }
}

static uint64_t draw(const struct task *task, uint8_t *pixels) {
    const int left = (int)task->tile[0], top = (int)task->tile[1];
    const int width = (int)task->tile[2], height = (int)task->tile[3];
    const int samples = (int)task->samples[0];
    const int64_t limit = (int64_t)task->iterations[0];
    const double step = task->width[0] / (task->picture[0] * samples);
    // Sample positions count from the picture's centre in half steps, so that
    // a point's coordinates don't depend on the tile it is in.
    const int64_t middle_x = (int64_t)task->picture[0] * samples - 1;
    const int64_t middle_y = (int64_t)task->picture[1] * samples - 1;
    uint64_t iterations = 0;
    for (int row = 0; row < height; row++) {
        for (int column = 0; column < width; column++) {
            uint32_t sum[3] = {0, 0, 0};
            for (int sample = 0; sample < samples * samples; sample++) {
                int64_t x = (int64_t)(left + column) * samples + sample % samples;
                int64_t y = (int64_t)(top + row) * samples + sample / samples;
                double re = task->centre[0] + (double)(2 * x - middle_x) * (step / 2);
                double im = task->centre[1] - (double)(2 * y - middle_y) * (step / 2);
                int64_t escaped = escape(re, im, limit, &iterations);
                // Black is the set itself; a turn of colours is 2^7 iterations.
                if (escaped > 0)
                    add_colour(escaped / 8, sum);
            }
            uint32_t count = (uint32_t)(samples * samples);
            for (int channel = 0; channel < 3; channel++)
                *pixels++ = (uint8_t)((sum[channel] + count / 2) / count);
        }
    }
    return iterations;
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "/out/tile.ppm";
    struct task task = read_task(stdin);
    const int width = (int)task.tile[2], height = (int)task.tile[3];
    size_t size = (size_t)width * (size_t)height * 3;
    uint8_t *pixels = malloc(size);
    if (!pixels)
        fail("no memory for a tile of %d x %d", width, height);
    uint64_t iterations = draw(&task, pixels);

    FILE *output = fopen(path, "wb");
    if (!output)
        fail("%s: %s", path, strerror(errno));
    fprintf(output, "P6\n# tile %d %d of %d %d\n%d %d\n255\n", (int)task.tile[0],
            (int)task.tile[1], (int)task.picture[0], (int)task.picture[1], width, height);
    bool written = fwrite(pixels, 1, size, output) == size;
    if (fclose(output) != 0 || !written)
        fail("%s: %s", path, strerror(errno));
    printf("%" PRIu64 " iterations\n", iterations);
    return 0;
}
