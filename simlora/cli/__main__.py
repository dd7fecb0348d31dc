"""``python -m simlora.cli``."""

from simlora.cli import main

main()
