"""Where a request's time went: waits, start-up stages, prefill, decode."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from simlora.results.tables import Floats, Ints, numbers, words

QUEUE, LOST, START_UP, START_UP_WAIT = "queue", "lost work", "start-up: ", "start-up: waiting"
INSTANCE_WAIT, PREFILL, DECODE = "instance wait", "prefill", "decode"


def breakdown(requests: pa.Table, events: pa.Table) -> dict[str, float]:
    """Mean seconds per finished request in each phase (:func:`phases`), NaN throughout if none finished."""
    each = phases(requests.filter(pa.array(words(requests, "outcome").are("finished"))), events)
    return {name: float(seconds.mean()) if len(seconds) else float("nan") for name, seconds in each.items()}


def phases(done: pa.Table, events: pa.Table) -> dict[str, Floats]:
    """Seconds of each finished request in each phase, in the order they happen; they add up to its E2E.

    ``queue``: from arrival until bound to an instance (batching included), without ``lost work``: while it was bound to
    instances that failed, which is no phase where none did. ``start-up: STAGE``: from then until
    the instance was ready, as far as the stage was under way on it; stages under way at once share that time.
    ``start-up: waiting``: the rest of it, with no stage under way. ``instance wait``: from ready until the request's
    batch began. ``prefill``: until its first token. ``decode``: until its finish.
    """
    arrived, bound, ready, started, first, finished = (
        numbers(done, f"{name}_s") for name in ("arrived", "bound", "ready", "started", "first_token", "finished")
    )
    stages = _stages_s(numbers(done, "instance").astype(np.int64), bound, ready, events)
    lost_s = _lost_s(numbers(done, "request").astype(np.int64), events)
    start_up_s = sum(stages.values(), np.zeros(len(bound)))
    return {
        QUEUE: bound - arrived - lost_s,
        **({LOST: lost_s} if lost_s.any() else {}),
        **{f"{START_UP}{name}": seconds for name, seconds in stages.items()},
        START_UP_WAIT: ready - bound - start_up_s,
        INSTANCE_WAIT: started - ready,
        PREFILL: first - started,
        DECODE: finished - first,
    }


def in_order(phases: Iterable[str]) -> list[str]:
    """The distinct phases of several runs, in the order they happen; start-up stages as they are first met."""
    others = (QUEUE, LOST, "", START_UP_WAIT, INSTANCE_WAIT, PREFILL, DECODE)
    return sorted(dict.fromkeys(phases), key=lambda name: others.index(name) if name in others else others.index(""))


def _lost_s(request: Ints, events: pa.Table) -> Floats:
    """Of each request the seconds it was bound to instances that failed."""
    lost = events.filter(pa.array(words(events, "kind").are("work_lost")))
    of = numbers(lost, "request").astype(np.int64)
    total_s = np.zeros(max((*request, *of), default=0) + 1)
    np.add.at(total_s, of, numbers(lost, "seconds"))
    return total_s[request]


def _stages_s(instance: Ints, bound_s: Floats, ready_s: Floats, events: pa.Table) -> dict[str, Floats]:
    """Per stage the seconds of [bound, ready] it was under way on each request's instance."""
    ended = events.filter(pa.array(words(events, "kind").are("stage_finished")))
    stage, of = words(ended, "stage"), numbers(ended, "instance").astype(np.int64)
    order = np.lexsort((numbers(ended, "at_s"), of))
    to_s = numbers(ended, "at_s")[order]
    from_s, of, code = to_s - numbers(ended, "seconds")[order], of[order], stage.codes[order]
    low, high = np.searchsorted(of, instance, "left"), np.searchsorted(of, instance, "right")
    request = np.repeat(np.arange(len(instance)), high - low)
    # Pair i of a request is the i-th stage of its instance.
    event = np.arange(len(request)) - np.repeat(np.cumsum(high - low) - high, high - low)
    overlap_s = np.minimum(to_s[event], ready_s[request]) - np.maximum(from_s[event], bound_s[request])
    seconds = np.zeros((len(stage.words), len(instance)))
    np.add.at(seconds, (code[event], request), np.maximum(overlap_s, 0.0))
    total, span = seconds.sum(axis=0), ready_s - bound_s
    seconds *= np.where(total > span, span / np.where(total > 0, total, 1.0), 1.0)
    first_seen = dict.fromkeys(int(c) for c in code[np.argsort(to_s, kind="stable")])
    return {stage.words[c]: seconds[c] for c in first_seen}
