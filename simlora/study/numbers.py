"""How a number is written for people."""

from __future__ import annotations

LEAST_PLAIN = 1e-6
"""Below it a number has more zeros than anyone counts."""


def written(value: float, form: str = ".3g") -> str:
    """``value`` in a format of Python's.

    One by significant digits (``.3g``, ``+.3g``) keeps all of them (1.00), has separators between thousands and no
    exponent, and never rounds what stands before the point: 0.0123, 1.00, 12.3, 2,234.
    """
    if not form.endswith("g") or 0 < abs(value) < LEAST_PLAIN or value in (float("inf"), float("-inf")):
        return f"{value:{form}}"
    digits, sign = int(form[-2]), "+" if form.startswith("+") else ""
    magnitude = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return f"{value:{sign},.{max(digits - 1 - magnitude, 0)}f}" if value else "0"
