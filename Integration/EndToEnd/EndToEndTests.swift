import Testing

/// Everything that drives the real daemon; one test at a time, since each has a daemon of its own and two cores are all there is.
@Suite(.serialized) struct EndToEndTests {}
