#include "cicu.h"

#include <pthread.h>
#include <stddef.h>
#include <unicode/ucal.h>
#include <unicode/uidna.h>

// CheckBidi and CheckJoiners always; UseSTD3ASCIIRules, CheckHyphens and VerifyDnsLength are what the standard calls beStrict.
enum {
  kOptions = UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_NONTRANSITIONAL_TO_UNICODE,
  kIgnoredUnlessStrict = UIDNA_ERROR_EMPTY_LABEL | UIDNA_ERROR_LABEL_TOO_LONG | UIDNA_ERROR_DOMAIN_NAME_TOO_LONG |
                         UIDNA_ERROR_LEADING_HYPHEN | UIDNA_ERROR_TRAILING_HYPHEN | UIDNA_ERROR_HYPHEN_3_4,
};

// ICU's object for a set of options never changes and may be used by any thread: one of each serves all, for ever.
static const UIDNA *lenient;
static const UIDNA *strict;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const UIDNA *OpenWith(uint32_t options) {
  UErrorCode status = U_ZERO_ERROR;
  UIDNA *idna = uidna_openUTS46(options, &status);
  return U_SUCCESS(status) ? idna : NULL;
}

static void OpenBoth(void) {
  lenient = OpenWith(kOptions);
  strict = OpenWith(kOptions | UIDNA_USE_STD3_RULES);
}

int32_t cicu_domain_to_ascii(const uint16_t *name, int32_t length, bool be_strict, uint16_t *out, int32_t capacity) {
  if (length <= 0 || pthread_once(&once, OpenBoth) != 0) return -1;
  const UIDNA *idna = be_strict ? strict : lenient;
  if (idna == NULL) return -1;
  UErrorCode status = U_ZERO_ERROR;
  UIDNAInfo info = UIDNA_INFO_INITIALIZER;
  int32_t count = uidna_nameToASCII(idna, (const UChar *)name, length, (UChar *)out, capacity, &info, &status);
  uint32_t errors = be_strict ? info.errors : info.errors & ~(uint32_t)kIgnoredUnlessStrict;
  if (U_FAILURE(status) || errors != 0 || count <= 0 || count > capacity) return -1;
  for (int32_t i = 0; i < count; i++) {
    if (out[i] >= 0x80) return -1;
  }
  return count;
}

void cicu_read_time_zone(void) {
  UChar name[128];
  UErrorCode status = U_ZERO_ERROR;
  ucal_getDefaultTimeZone(name, sizeof name / sizeof name[0], &status);
}
