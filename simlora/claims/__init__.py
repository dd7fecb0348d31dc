"""A paper's claims beside what comes out here: read from ``expected.csv``, found in results, judged by one rule."""
