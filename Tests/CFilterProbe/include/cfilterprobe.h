// cfilterprobe.h — what the kernel answers to a system call under a seccomp program; the tests' counterpart of FilterMachine.
#pragma once
#include <stdint.h>

typedef enum cfilterprobe_answer {
  CFILTERPROBE_KILLED,    // by SIGSYS
  CFILTERPROBE_RETURNED,  // whatever it returned
  CFILTERPROBE_OTHER,     // it ended in another way: the call was made, and has ended the process or raised a fault
  CFILTERPROBE_FAILED,    // it could not be tried
} cfilterprobe_answer;

/// Makes the call in a process of its own, under the program in the descriptor `filter`. `error`: the errno that it returned, or 0.
cfilterprobe_answer cfilterprobe_call(int filter, int64_t number, const uint64_t arguments[6], int *error);
/// The same through the entry for 32-bit programs. On machines without one it is killed too, by the processor.
cfilterprobe_answer cfilterprobe_call_of_i386(int filter, int64_t number);
