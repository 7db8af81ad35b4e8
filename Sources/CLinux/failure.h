// Shared by the parts of CLinux.
#pragma once
#include <errno.h>
#include <string.h>

#include "clinux.h"

static inline int clinux_fail(clinux_failure *failure, const char *stage) {
  failure->error = errno;
  strncpy(failure->stage, stage, sizeof failure->stage - 1);
  failure->stage[sizeof failure->stage - 1] = 0;
  return -1;
}
