"""How ``simlora`` ends where it does not end well."""

RUN_FAILED = 1
BAD_INPUT = 2
NOT_DONE = 3
INTERRUPTED = 130
