// ICU's C functions carry the library's version in their names through macros, which Swift does not see: these give them plain ones.
#pragma once
#include <string.h>
#include <unicode/uidna.h>

typedef struct cicu_uidna_info {
    uint32_t errors;
} cicu_uidna_info;

static inline UIDNA *cicu_uidna_open(uint32_t options, UErrorCode *status) { return uidna_openUTS46(options, status); }
static inline void cicu_uidna_close(UIDNA *idna) { uidna_close(idna); }

static inline int32_t cicu_uidna_name_to_ascii(
    const UIDNA *idna, const uint16_t *name, int32_t length, uint16_t *out, int32_t capacity, cicu_uidna_info *info, UErrorCode *status) {
    UIDNAInfo full = UIDNA_INFO_INITIALIZER;
    int32_t count = uidna_nameToASCII(idna, (const UChar *)name, length, (UChar *)out, capacity, &full, status);
    info->errors = full.errors;
    return count;
}
