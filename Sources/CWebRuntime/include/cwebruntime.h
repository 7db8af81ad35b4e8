// cwebruntime.h — the Web runtime's JavaScript, embedded at build time. Data only.
#pragma once
#include <stdbool.h>
#include <stddef.h>

/// One source text: a function expression of `internal`, ASCII, NUL-terminated; lives as long as the process.
typedef struct cwebruntime_source_text {
  const char *name;
  const char *text;
  size_t length;  // without the terminating NUL
  bool lazy;      // evaluated on first use instead of in the base snapshot
} cwebruntime_source_text;

size_t cwebruntime_source_count(void);
/// The source at `index`, in the order of evaluation; NULL past the end.
const cwebruntime_source_text *cwebruntime_source(size_t index);
