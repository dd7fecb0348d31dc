"""Factors that turn a written quantity into SI seconds and bytes, and nothing else."""

KB = 1_000
MB = 1_000_000
GB = 1_000_000_000
KiB = 1 << 10
MiB = 1 << 20
GiB = 1 << 30
ms = 1e-3
us = 1e-6
