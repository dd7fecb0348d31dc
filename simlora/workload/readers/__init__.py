"""Readers of traces: one file per format; every fault is one :class:`~simlora.errors.TraceError`."""
