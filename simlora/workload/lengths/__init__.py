"""Token lengths of requests: fitted on public data, fixed, or by a formula."""

from simlora.workload.lengths.samplers import LENGTHS, LengthSampler, make_lengths, source_of

__all__ = ["LENGTHS", "LengthSampler", "make_lengths", "source_of"]
