"""Studies: one experiment file, the grid of runs it stands for, and what is said before and after them."""
