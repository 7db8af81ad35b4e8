// The runtime's JavaScript, embedded as it lies in javascript/. A file runs when the base snapshot is built, in the order of the table
// below, or, if it is lazy, when `internal.load(NAME)` first asks for it. A new file needs its text here and a row in the table.
#include "cwebruntime.h"

// #embed is of C23; the package is C17 and the compiler knows it in both.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const char primordials_text[] = {
#embed "javascript/00-primordials.js" suffix(, 0)
};
static const char webidl_text[] = {
#embed "javascript/05-webidl.js" suffix(, 0)
};
static const char domexception_text[] = {
#embed "javascript/10-domexception.js" suffix(, 0)
};
static const char events_text[] = {
#embed "javascript/15-events.js" suffix(, 0)
};
static const char uncaught_text[] = {
#embed "javascript/16-uncaught.js" suffix(, 0)
};
static const char abort_text[] = {
#embed "javascript/20-abort.js" suffix(, 0)
};
static const char encoding_text[] = {
#embed "javascript/25-encoding.js" suffix(, 0)
};
static const char base64_text[] = {
#embed "javascript/30-base64.js" suffix(, 0)
};
static const char value_text_text[] = {
#embed "javascript/31-value-text.js" suffix(, 0)
};
static const char timers_text[] = {
#embed "javascript/32-timers.js" suffix(, 0)
};
static const char inspect_text[] = {
#embed "javascript/33-inspect.js" suffix(, 0)
};
static const char console_text[] = {
#embed "javascript/34-console.js" suffix(, 0)
};
static const char percent_encoding_text[] = {
#embed "javascript/35-percent-encoding.js" suffix(, 0)
};
static const char structured_clone_text[] = {
#embed "javascript/36-structured-clone.js" suffix(, 0)
};
static const char url_hosts_text[] = {
#embed "javascript/36-url-hosts.js" suffix(, 0)
};
static const char url_parser_text[] = {
#embed "javascript/37-url-parser.js" suffix(, 0)
};
static const char search_params_text[] = {
#embed "javascript/38-search-params.js" suffix(, 0)
};
static const char url_text[] = {
#embed "javascript/39-url.js" suffix(, 0)
};
static const char streams_text[] = {
#embed "javascript/40-streams.js" suffix(, 0)
};
static const char stream_base_text[] = {
#embed "javascript/41-stream-base.js" suffix(, 0)
};
static const char readable_states_text[] = {
#embed "javascript/42-readable-states.js" suffix(, 0)
};
static const char readable_streams_text[] = {
#embed "javascript/43-readable-streams.js" suffix(, 0)
};
static const char byte_controller_text[] = {
#embed "javascript/44-byte-controller.js" suffix(, 0)
};
static const char byte_streams_text[] = {
#embed "javascript/45-byte-streams.js" suffix(, 0)
};
static const char stream_pipes_text[] = {
#embed "javascript/46-stream-pipes.js" suffix(, 0)
};
static const char stream_tee_text[] = {
#embed "javascript/47-stream-tee.js" suffix(, 0)
};
static const char writable_states_text[] = {
#embed "javascript/48-writable-states.js" suffix(, 0)
};
static const char writable_streams_text[] = {
#embed "javascript/49-writable-streams.js" suffix(, 0)
};
static const char transform_streams_text[] = {
#embed "javascript/50-transform-streams.js" suffix(, 0)
};
static const char text_streams_text[] = {
#embed "javascript/51-text-streams.js" suffix(, 0)
};
static const char mime_text[] = {
#embed "javascript/52-mime.js" suffix(, 0)
};
static const char blob_text[] = {
#embed "javascript/53-blob.js" suffix(, 0)
};
static const char formdata_text[] = {
#embed "javascript/55-formdata.js" suffix(, 0)
};
static const char headers_text[] = {
#embed "javascript/60-headers.js" suffix(, 0)
};
static const char body_text[] = {
#embed "javascript/65-body.js" suffix(, 0)
};
static const char incoming_body_text[] = {
#embed "javascript/66-incoming-body.js" suffix(, 0)
};
static const char request_text[] = {
#embed "javascript/70-request.js" suffix(, 0)
};
static const char response_text[] = {
#embed "javascript/75-response.js" suffix(, 0)
};
static const char fetch_text[] = {
#embed "javascript/80-fetch.js" suffix(, 0)
};
static const char crypto_text[] = {
#embed "javascript/85-crypto.js" suffix(, 0)
};
static const char misc_text[] = {
#embed "javascript/87-misc.js" suffix(, 0)
};
static const char start_text[] = {
#embed "javascript/88-start.js" suffix(, 0)
};
static const char entry_text[] = {
#embed "javascript/90-entry.js" suffix(, 0)
};
static const char warm_up_text[] = {
#embed "javascript/95-warm-up.js" suffix(, 0)
};
static const char builder_text[] = {
#embed "javascript/97-builder.js" suffix(, 0)
};

#define EAGER(name, text) {name, text, sizeof(text) - 1, false}
#define LAZY(name, text) {name, text, sizeof(text) - 1, true}

static const cwebruntime_source_text sources[] = {
    EAGER("primordials", primordials_text),
    EAGER("webidl", webidl_text),
    EAGER("domexception", domexception_text),
    EAGER("events", events_text),
    EAGER("uncaught", uncaught_text),
    EAGER("abort", abort_text),
    EAGER("encoding", encoding_text),
    EAGER("base64", base64_text),
    EAGER("value-text", value_text_text),
    EAGER("timers", timers_text),
    EAGER("inspect", inspect_text),
    EAGER("console", console_text),
    EAGER("percent-encoding", percent_encoding_text),
    EAGER("structured-clone", structured_clone_text),
    EAGER("url-hosts", url_hosts_text),
    EAGER("url-parser", url_parser_text),
    EAGER("search-params", search_params_text),
    EAGER("url", url_text),
    EAGER("streams", streams_text),
    LAZY("stream-base", stream_base_text),
    LAZY("readable-states", readable_states_text),
    LAZY("readable-streams", readable_streams_text),
    LAZY("byte-controller", byte_controller_text),
    LAZY("byte-streams", byte_streams_text),
    LAZY("stream-pipes", stream_pipes_text),
    LAZY("stream-tee", stream_tee_text),
    LAZY("writable-states", writable_states_text),
    LAZY("writable-streams", writable_streams_text),
    LAZY("transform-streams", transform_streams_text),
    LAZY("text-streams", text_streams_text),
    LAZY("mime", mime_text),
    LAZY("blob", blob_text),
    LAZY("formdata", formdata_text),
    EAGER("headers", headers_text),
    EAGER("body", body_text),
    EAGER("incoming-body", incoming_body_text),
    EAGER("request", request_text),
    EAGER("response", response_text),
    EAGER("fetch", fetch_text),
    LAZY("crypto", crypto_text),
    EAGER("misc", misc_text),
    EAGER("start", start_text),
    EAGER("entry", entry_text),
    EAGER("warm-up", warm_up_text),
    LAZY("builder", builder_text),
};

size_t cwebruntime_source_count(void) { return sizeof(sources) / sizeof(sources[0]); }

const cwebruntime_source_text *cwebruntime_source(size_t index) { return index < cwebruntime_source_count() ? &sources[index] : NULL; }
