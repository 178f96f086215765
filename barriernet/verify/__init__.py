"""Sets of problems on which the promises of this library are checked and timed."""
