// An interpreter: a register machine of eleven instructions that runs a program of its own, which adds up how many steps the numbers
// from 1 to n - 1 take to reach 1 (Collatz).
#include "guest.h"

enum op { CONST, MOVE, ADD, ADDI, MUL, AND, HALVE, JUMP, JUMP_EQ, JUMP_LT, HALT };

struct instruction {
  uint8_t op, a, b, c;
  int32_t imm;
};

// Registers: 0 the limit, 1 the number, 2 the walker, 3 steps, 4 one, 5 a scratch, 6 three, 7 zero.
static const struct instruction program[] = {
    {CONST, 1, 0, 0, 1},   {CONST, 3, 0, 0, 0}, {CONST, 4, 0, 0, 1},    {CONST, 6, 0, 0, 3},  {CONST, 7, 0, 0, 0},
    {JUMP_LT, 1, 0, 0, 7}, {HALT, 3, 0, 0, 0},  {MOVE, 2, 1, 0, 0},     {JUMP_EQ, 2, 4, 0, 17}, {AND, 5, 2, 4, 0},
    {ADDI, 3, 3, 0, 1},    {JUMP_EQ, 5, 7, 0, 15}, {MUL, 2, 2, 6, 0},   {ADD, 2, 2, 4, 0},    {JUMP, 0, 0, 0, 8},
    {HALVE, 2, 2, 0, 0},   {JUMP, 0, 0, 0, 8},  {ADDI, 1, 1, 0, 1},     {JUMP, 0, 0, 0, 5}};

static int64_t run(int64_t *r) {
  for (int32_t pc = 0;;) {
    const struct instruction *i = &program[pc++];
    switch ((enum op)i->op) {
      case CONST: r[i->a] = i->imm; break;
      case MOVE: r[i->a] = r[i->b]; break;
      case ADD: r[i->a] = r[i->b] + r[i->c]; break;
      case ADDI: r[i->a] = r[i->b] + i->imm; break;
      case MUL: r[i->a] = r[i->b] * r[i->c]; break;
      case AND: r[i->a] = r[i->b] & r[i->c]; break;
      case HALVE: r[i->a] = r[i->b] >> 1; break;
      case JUMP: pc = i->imm; break;
      case JUMP_EQ: if (r[i->a] == r[i->b]) pc = i->imm; break;
      case JUMP_LT: if (r[i->a] < r[i->b]) pc = i->imm; break;
      case HALT: return r[i->a];
    }
  }
}

GUEST(int32_t n) {
  int64_t registers[8] = {n};
  return run(registers);
}
