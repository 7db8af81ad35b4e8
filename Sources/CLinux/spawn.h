// Shared by the two sides of a spawn.
#pragma once
#include "clinux.h"

/// The child's whole life: waits for the byte on `release`, takes up its place, executes. Writes a clinux_failure to `report` when a stage
/// fails. Never returns.
void clinux_run_child(const clinux_spawn_options *options, int release, int report) __attribute__((noreturn));

/// Makes the mounts private and a root that holds nothing but `options->files`, which are open as `files`, and goes there.
int clinux_make_root(const clinux_spawn_options *options, const int *files, clinux_failure *failure);
