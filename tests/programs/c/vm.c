// An interpreter: a stack machine runs the sieve, a sum of digits and a
// linear congruential generator, written in its own bytecode.
#include "program.h"

enum op { PUSH, LOAD, STORE, READ, WRITE, ADD, SUB, MUL, MOD, LESS, XOR, JUMP, JUMP_IF_ZERO, HALT };
enum { STACK = 64, VARIABLES = 8, CELLS = 4096, LONGEST = 256 };

struct machine {
    const int32_t *code;
    int32_t stack[STACK], variables[VARIABLES], cells[CELLS];
};

// Runs for at most so many instructions at a time, so that it is called often.
HOT static uint32_t run_for(struct machine *machine, uint32_t at, uint32_t steps, uint32_t *height) {
    const int32_t *code = machine->code;
    int32_t *top = machine->stack + *height;
    while (steps-- > 0) {
        switch ((enum op)code[at++]) {
            case PUSH: *top++ = code[at++]; break;
            case LOAD: *top++ = machine->variables[code[at++] % VARIABLES]; break;
            case STORE: machine->variables[code[at++] % VARIABLES] = *--top; break;
            case READ: top[-1] = machine->cells[(uint32_t)top[-1] % CELLS]; break;
            case WRITE: top -= 2; machine->cells[(uint32_t)top[0] % CELLS] = top[1]; break;
            case ADD: top--; top[-1] = (int32_t)((uint32_t)top[-1] + (uint32_t)top[0]); break;
            case SUB: top--; top[-1] = (int32_t)((uint32_t)top[-1] - (uint32_t)top[0]); break;
            case MUL: top--; top[-1] = (int32_t)((uint32_t)top[-1] * (uint32_t)top[0]); break;
            case MOD: top--; top[-1] = (int32_t)((uint32_t)top[-1] % (uint32_t)top[0]); break;
            case LESS: top--; top[-1] = top[-1] < top[0]; break;
            case XOR: top--; top[-1] ^= top[0]; break;
            case JUMP: at = (uint32_t)code[at]; break;
            case JUMP_IF_ZERO: at = *--top == 0 ? (uint32_t)code[at] : at + 1; break;
            case HALT: *height = (uint32_t)(top - machine->stack); return UINT32_MAX;
        }
    }
    *height = (uint32_t)(top - machine->stack);
    return at;
}

// Marks multiples in the cells; variable 0 holds the number, 1 a multiple, 2 a
// count, 3 a mix of all.
static const int32_t PROGRAM[] = {
    /*  0 */ PUSH, 2, STORE, 0,
    /*  4 */ LOAD, 0, PUSH, CELLS, LESS, JUMP_IF_ZERO, 62,
    /* 11 */ LOAD, 0, READ, JUMP_IF_ZERO, 18,
    /* 16 */ JUMP, 53,
    /* 18 */ LOAD, 2, PUSH, 1, ADD, STORE, 2,
    /* 25 */ LOAD, 0, LOAD, 0, ADD, STORE, 1,
    /* 32 */ LOAD, 1, PUSH, CELLS, LESS, JUMP_IF_ZERO, 53,
    /* 39 */ LOAD, 1, PUSH, 1, WRITE,
    /* 44 */ LOAD, 1, LOAD, 0, ADD, STORE, 1,
    /* 51 */ JUMP, 32,
    /* 53 */ LOAD, 0, PUSH, 1, ADD, STORE, 0,
    /* 60 */ JUMP, 4,
    /* 62 */ PUSH, 3000, STORE, 1,
    /* 66 */ LOAD, 1, JUMP_IF_ZERO, 101,
    /* 70 */ LOAD, 3, PUSH, 1103515245, MUL, PUSH, 12345, ADD, STORE, 3,
    /* 80 */ LOAD, 3, PUSH, 10, MOD, LOAD, 2, XOR, STORE, 2,
    /* 90 */ LOAD, 1, PUSH, 1, SUB, STORE, 1,
    /* 97 */ JUMP, 66, HALT, HALT,
    /* 101 */ HALT,
};

static struct machine machine;

static void interpret(uint32_t round) {
    machine.code = PROGRAM;
    memset(machine.cells, 0, sizeof machine.cells);
    machine.variables[2] = (int32_t)round;
    uint32_t at = 0, height = 0;
    while (at != UINT32_MAX) at = run_for(&machine, at, LONGEST, &height);
    check_bytes(machine.variables, sizeof machine.variables);
}

int main(int argc, char **argv) {
    return run("vm", argc, argv, interpret);
}
