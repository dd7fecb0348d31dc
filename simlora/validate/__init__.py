"""The validation mode: the same engine and policies on real processes, and how far off the prediction was."""
