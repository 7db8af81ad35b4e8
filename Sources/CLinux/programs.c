// The seccomp programs' texts: policies/seccomp/ is their source, a binary carries its own copy.
#include "clinux.h"

// A part of C23 that clang has in all modes.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const char kEarly[] = {
#embed "../../policies/seccomp/early.seccomp"
};
static const char kSteady[] = {
#embed "../../policies/seccomp/steady.seccomp"
};
static const char kSteadyJitless[] = {
#embed "../../policies/seccomp/steady-jitless.seccomp"
};

static const clinux_program_text kPrograms[] = {
    {"early", kEarly, sizeof kEarly},
    {"steady", kSteady, sizeof kSteady},
    {"steady-jitless", kSteadyJitless, sizeof kSteadyJitless},
};

size_t clinux_program_count(void) { return sizeof kPrograms / sizeof kPrograms[0]; }
const clinux_program_text *clinux_program(size_t index) { return index < clinux_program_count() ? &kPrograms[index] : 0; }
