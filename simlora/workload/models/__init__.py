"""Trace models: what is fitted on real segments, so that traffic like theirs can be made anywhere."""
