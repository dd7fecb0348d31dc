"""The command line: ``simlora``. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import sys

from simlora.cli.codes import BAD_INPUT, INTERRUPTED
from simlora.errors import SimloraError


def main() -> None:
    """Run the command line; bad input ends with one message and exit code 2, Ctrl-C with 130."""
    try:
        from simlora.cli.app import app

        app()
    except SimloraError as error:
        print(f"simlora: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
