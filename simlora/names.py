"""Numbers from names: the same in any process, unlike ``hash``, whatever else is numbered."""

from __future__ import annotations

import hashlib


def number_of(*name: object) -> int:
    """64 bits that depend on the texts of ``name`` alone, evenly spread."""
    text = "/".join(map(str, name))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
