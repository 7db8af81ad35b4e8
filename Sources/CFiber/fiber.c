#define _GNU_SOURCE
#include "fiber.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct cfiber {
  void *stack_pointer;   // the fiber's, while it is suspended
  void *resumer;         // the stack pointer of who resumed it, while it runs
  char *low;
  char *high;
  char *mapping;
  void (*entry)(void *);
  void *argument;
  bool finished;
};

/// Saves the callee-saved state on the current stack and its pointer in *from, takes up the state saved at `to`.
void cfiber_switch(void **from, void *to);
/// Where a prepared fiber starts: calls cfiber_main.
void cfiber_start(void);

/// What is kept unmapped below a stack: more than any frame of V8 or of the C library takes, so that none of them steps over it.
static const size_t guard_bytes = 256 << 10;

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

cfiber *cfiber_new(size_t stack_bytes) {
  size_t page = page_bytes();
  size_t size = (stack_bytes + page - 1) / page * page;
  cfiber *fiber = calloc(1, sizeof *fiber);
  if (!fiber) return NULL;
  char *mapping = mmap(NULL, size + guard_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) {
    free(fiber);
    return NULL;
  }
  if (mprotect(mapping + guard_bytes, size, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapping, size + guard_bytes);
    free(fiber);
    return NULL;
  }
  fiber->mapping = mapping;
  fiber->low = mapping + guard_bytes;
  fiber->high = mapping + guard_bytes + size;
  fiber->finished = true;
  return fiber;
}

void cfiber_free(cfiber *fiber) {
  munmap(fiber->mapping, (size_t)(fiber->high - fiber->mapping));
  free(fiber);
}

void *cfiber_stack_low(const cfiber *fiber) { return fiber->low; }
void *cfiber_stack_high(const cfiber *fiber) { return fiber->high; }

void cfiber_trim(cfiber *fiber, size_t keep_bytes) {
  size_t page = page_bytes();
  size_t keep = (keep_bytes + page - 1) / page * page;
  size_t size = (size_t)(fiber->high - fiber->low);
  if (keep < size) madvise(fiber->low, size - keep, MADV_DONTNEED);
}

void cfiber_main(cfiber *fiber);
void cfiber_main(cfiber *fiber) {
  fiber->entry(fiber->argument);
  fiber->finished = true;
  cfiber_switch(&fiber->stack_pointer, fiber->resumer);
  __builtin_trap();  // a finished fiber is never resumed
}

bool cfiber_resume(cfiber *fiber) {
  cfiber_switch(&fiber->resumer, fiber->stack_pointer);
  return fiber->finished;
}

void cfiber_suspend(void *pointer) {
  cfiber *fiber = pointer;
  cfiber_switch(&fiber->stack_pointer, fiber->resumer);
}

#if defined(__x86_64__)

// System V ABI: rbx, rbp, r12-r15, the x87 control word and MXCSR's control bits belong to the callee.
__asm__(
    ".text\n.globl cfiber_switch\n.hidden cfiber_switch\n.type cfiber_switch,@function\n.p2align 4\ncfiber_switch:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  subq $8, %rsp\n  stmxcsr (%rsp)\n  fnstcw 4(%rsp)\n"
    "  movq %rsp, (%rdi)\n  movq %rsi, %rsp\n"
    "  ldmxcsr (%rsp)\n  fldcw 4(%rsp)\n  addq $8, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n  ret\n"
    ".size cfiber_switch,.-cfiber_switch\n"
    ".globl cfiber_start\n.hidden cfiber_start\n.type cfiber_start,@function\n.p2align 4\ncfiber_start:\n"
    "  .cfi_startproc\n  .cfi_undefined rip\n"
    "  movq %r12, %rdi\n  xorl %ebp, %ebp\n  call cfiber_main\n  ud2\n  .cfi_endproc\n.size cfiber_start,.-cfiber_start\n");

void cfiber_prepare(cfiber *fiber, void (*entry)(void *), void *argument) {
  fiber->entry = entry;
  fiber->argument = argument;
  fiber->finished = false;
  // From the top: padding that leaves the stack 16-byte aligned at cfiber_start's call, the return address, six registers, control words.
  uintptr_t *top = (uintptr_t *)fiber->high - 2;
  *--top = (uintptr_t)cfiber_start;
  *--top = 0;                   // rbp
  *--top = 0;                   // rbx
  *--top = (uintptr_t)fiber;    // r12
  *--top = 0;                   // r13
  *--top = 0;                   // r14
  *--top = 0;                   // r15
  *--top = 0x0000037F00001F80;  // MXCSR and x87 control word at their defaults
  fiber->stack_pointer = top;
}

#elif defined(__aarch64__)

// AAPCS64: x19-x29, x30 and the low halves of v8-v15 belong to the callee.
__asm__(
    ".text\n.globl cfiber_switch\n.hidden cfiber_switch\n.type cfiber_switch,%function\n.p2align 4\ncfiber_switch:\n"
    "  sub sp, sp, #176\n"
    "  stp x19, x20, [sp, #0]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n  stp x25, x26, [sp, #48]\n"
    "  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
    "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
    "  mrs x9, fpcr\n  str x9, [sp, #160]\n"
    "  mov x9, sp\n  str x9, [x0]\n  mov sp, x1\n"
    "  ldr x9, [sp, #160]\n  msr fpcr, x9\n"
    "  ldp x19, x20, [sp, #0]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n  ldp x25, x26, [sp, #48]\n"
    "  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
    "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
    "  add sp, sp, #176\n  ret\n.size cfiber_switch,.-cfiber_switch\n"
    ".globl cfiber_start\n.hidden cfiber_start\n.type cfiber_start,%function\n.p2align 4\ncfiber_start:\n"
    "  mov x0, x19\n  mov x29, xzr\n  bl cfiber_main\n  brk #1\n.size cfiber_start,.-cfiber_start\n");

void cfiber_prepare(cfiber *fiber, void (*entry)(void *), void *argument) {
  fiber->entry = entry;
  fiber->argument = argument;
  fiber->finished = false;
  uint64_t *frame = (uint64_t *)(fiber->high - 176);
  for (int i = 0; i < 22; i++) frame[i] = 0;
  frame[0] = (uint64_t)fiber;         // x19
  frame[11] = (uint64_t)cfiber_start;  // x30
  fiber->stack_pointer = frame;
}

#else
#error "cfiber knows x86-64 and arm64"
#endif
