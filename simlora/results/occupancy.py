"""What each GPU held, and what it did, between one change and the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from simlora.results.tables import Bools, Floats, Ints, numbers, words


@dataclass(frozen=True)
class Occupancy:
    """One row per GPU and stretch of time in which nothing on it changed, ordered by GPU and time.

    ``busy``, ``starting`` and ``idle`` count the instances in that state; ``backbone_*`` the backbone processes.
    Stretches in which a GPU holds nothing at all are left out.
    """

    gpu: Ints
    from_s: Floats
    to_s: Floats
    busy: Ints
    starting: Ints
    idle: Ints
    backbones_busy: Ints
    backbones_starting: Ints
    backbones_idle: Ints
    reserved: Ints
    instance_bytes: Ints
    backbone_bytes: Ints

    @property
    def seconds(self) -> Floats:
        """Length of each stretch."""
        return self.to_s - self.from_s

    @property
    def instances(self) -> Ints:
        """Instances on the GPU, whatever they do."""
        return self.busy + self.starting + self.idle


def on_reserved(rows: pa.Table, usage: pa.Table) -> Bools:
    """Which ``rows`` of a table with a column ``gpu`` concern a GPU that is reserved by the run's ``usage``."""
    reserved = numbers(usage, "gpu")[words(usage, "state").are("reserved")]
    return np.asarray(np.isin(numbers(rows, "gpu"), reserved))


def clipped(usage: pa.Table, window_s: float) -> pa.Table:
    """``usage`` within [0, window_s]; empty rows left out, and always-on systems carried on to the window's end.

    Reserved GPUs, and what waits on them at the end of their system's run, stay there and cost money until the end
    of the window in which all systems are compared, also if their own system finished earlier.
    """
    state = words(usage, "state")
    reserved, to_s = state.are("reserved"), numbers(usage, "to_s")
    stays = state.are("reserved", "idle") & (to_s == max(to_s[reserved], default=np.nan)) & on_reserved(usage, usage)
    from_s = np.clip(numbers(usage, "from_s"), 0.0, window_s)
    to_s = np.where(stays, window_s, np.clip(to_s, 0.0, window_s))
    within = usage.set_column(usage.column_names.index("from_s"), "from_s", pa.array(from_s))
    within = within.set_column(usage.column_names.index("to_s"), "to_s", pa.array(to_s))
    return within.filter(pa.array(to_s > from_s))


def occupancy(usage: pa.Table, window_s: float) -> Occupancy:
    """The state of every GPU over [0, window_s], by one sweep over all changes of all GPUs."""
    rows = clipped(usage, window_s)
    holder, state = words(rows, "holder"), words(rows, "state")
    instance, backbone = holder.are("instance"), holder.are("backbone")
    size = numbers(rows, "device_bytes")
    changes = np.column_stack(
        [
            *(kind & state.are(name) for kind in (instance, backbone) for name in ("busy", "starting", "idle")),
            state.are("reserved"),
            np.where(instance, size, 0),
            np.where(backbone, size, 0),
        ]
    ).astype(np.int64)
    gpu = numbers(rows, "gpu").astype(np.int64)
    return _sweep(gpu, numbers(rows, "from_s"), numbers(rows, "to_s"), changes)


def _sweep(gpu: Ints, from_s: Floats, to_s: Floats, changes: Ints) -> Occupancy:
    at_gpu, at_s = np.concatenate([gpu, gpu]), np.concatenate([from_s, to_s])
    order = np.lexsort((at_s, at_gpu))
    at_gpu, at_s = at_gpu[order], at_s[order]
    held = np.concatenate([changes, -changes])[order].cumsum(axis=0)[:-1]
    # All that a GPU held it gave back by its last change, so one running sum serves all GPUs.
    keep: Bools = (at_gpu[1:] == at_gpu[:-1]) & (at_s[1:] > at_s[:-1]) & (held[:, :7].sum(axis=1) > 0)
    return Occupancy(at_gpu[:-1][keep], at_s[:-1][keep], at_s[1:][keep], *held[keep].T)
