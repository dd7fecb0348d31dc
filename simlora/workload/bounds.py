"""How much one run takes: what is beyond is a slip of the pen, told before memory is asked for it."""

from __future__ import annotations

from simlora.errors import ConfigError

MOST_REQUESTS = 20_000_000
"""Of one run: what stays in memory of a request is some 100 bytes, so this is 2 GB."""
MOST_TOKENS = 10_000_000
"""Of one request: the longest context that a published model states (Llama 4 Scout's model card)."""
MOST_DURATION_S = 366 * 86_400.0
"""A year: traces count by the minute."""


def check_requests(expected: float) -> None:
    """Raise :class:`ConfigError` for more requests, or more changes of their rate, than a run takes."""
    if not expected <= MOST_REQUESTS:
        raise ConfigError(
            f"the traffic has about {expected:.3g} requests (or changes of rate); allowed: up to {MOST_REQUESTS:,} in "
            "one run; a lower rate, rate_scale or duration_s is needed"
        )
