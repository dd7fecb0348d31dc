"""Fitting latency profiles on measured tables."""
