"""Memory of a device as its driver tells it, while a run goes on."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Sequence

MIB = 2**20
EVERY_S, LIMIT_S = 0.5, 10.0
COMMAND = ("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0")
"""Says the MiB in use on the first device."""


class DeviceMemory:
    """Asks ``command`` again and again until it is closed; never where the command is not there, or fails."""

    def __init__(self, command: Sequence[str] = COMMAND):
        self._command = command
        self._rows: list[tuple[float, int]] = []
        self._closed = threading.Event()
        self._asking = threading.Thread(target=self._ask, daemon=True)
        if shutil.which(command[0]) is not None:
            self._asking.start()

    def _ask(self) -> None:
        while not self._closed.wait(EVERY_S):
            began_s = time.monotonic()
            try:
                said = subprocess.run(self._command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
                held = int(said.stdout.split()[0]) * MIB
            except (subprocess.SubprocessError, OSError, ValueError, IndexError):
                return
            self._rows.append(((began_s + time.monotonic()) / 2, held))

    def close(self) -> list[tuple[float, int]]:
        """(reading of ``time.monotonic``, bytes in use by everybody) from its start to now."""
        self._closed.set()
        return list(self._rows)
