// ctestcell.h — what a cell of the tests has that no real one has. Linked into the executable `test-cell` only; a test looks for it in others.
#pragma once

/// Only there to be called: a linker leaves out an object that nothing refers to.
void ctestcell_link(void);
