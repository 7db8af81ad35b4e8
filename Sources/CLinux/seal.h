// Shared by the parts of the seal.
#pragma once
#include "clinux.h"

/// 0, also where the kernel has no Landlock; -1 with errno.
int clinux_landlock_restrict(void);
