// cicu.h — what the cell needs of ICU. ICU's own headers stay out of sight: their types have other definitions in Foundation's ICU, and
// a Swift module cannot see both.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Units that `out` of cicu_domain_to_ascii must have room for, for a name of `length` units: Punycode of a character has at most six
/// letters, and a label's prefix four.
static inline int32_t cicu_domain_capacity(int32_t length) { return length * 10 + 64; }

/// "domain to ASCII" of the URL standard (https://url.spec.whatwg.org/#concept-domain-to-ascii): UTS #46, non-transitional. `name` is
/// UTF-16. Any thread. Returns how many units, all of them ASCII, it wrote to `out`, or -1 where the standard says failure.
int32_t cicu_domain_to_ascii(const uint16_t *name, int32_t length, bool be_strict, uint16_t *out, int32_t capacity);

/// Has ICU find out the host's time zone, which it reads from files at the first use and keeps.
void cicu_read_time_zone(void);

#ifdef __cplusplus
}
#endif
