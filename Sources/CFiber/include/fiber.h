// fiber.h — context switch and guarded stacks. A fiber is a stack and a saved stack pointer; who runs which is the caller's affair.
//
// Callee-saved registers and the floating point control words are kept. A fiber may be resumed on another OS thread than the one it
// was suspended on: code that runs on one must not keep the address of a thread-local variable across cfiber_suspend.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cfiber cfiber;

/// Makes a fiber with a stack of `stack_bytes` (rounded up to pages) above 256 KiB that cannot be accessed. NULL: no memory (errno).
cfiber *cfiber_new(size_t stack_bytes);
/// Gives the stack back. Whatever was on it is dropped without unwinding.
void cfiber_free(cfiber *fiber);
/// The lowest usable address and the first one above the stack.
void *cfiber_stack_low(const cfiber *fiber);
void *cfiber_stack_high(const cfiber *fiber);
/// Gives the pages of an unused stack back to the kernel, except the top `keep_bytes`.
void cfiber_trim(cfiber *fiber, size_t keep_bytes);

/// Sets what the next cfiber_resume starts: `entry(argument)`. Only for a fiber that is new or has finished.
void cfiber_prepare(cfiber *fiber, void (*entry)(void *), void *argument);
/// Runs the fiber on the calling thread until it suspends itself (false) or `entry` returns (true).
bool cfiber_resume(cfiber *fiber);
/// Called on the fiber: switches back to whoever resumed it; returns when it is resumed. The type suits cv8_options.suspend.
void cfiber_suspend(void *fiber);
