"""Back-ends: they do the work the engine orders, in virtual time or for real."""
