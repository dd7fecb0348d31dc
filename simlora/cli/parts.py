"""Tables of what experiments and profiles are made of: token lengths, backbones, engines, loaders, GPUs, machines."""

from __future__ import annotations

from rich.table import Table

from simlora.study.console import listing


def lengths() -> Table:
    """The named samplers of token lengths."""
    from simlora.workload.lengths import LENGTHS, source_of

    table = listing("lengths", "what they are", "source")
    for name, (_, _, description) in LENGTHS.items():
        table.add_row(name, description, source_of(name))
    return table


def backbones() -> Table:
    """The shipped backbones; any other is read from its ``config.json``."""
    from simlora.latency import list_backbones, load_backbone

    table = listing("backbone", "parameters", "weights", "KV of a token", "source")
    for name, source in list_backbones().items():
        b = load_backbone(name)
        weights = f"{b.weights_bytes / 1e9:.2f} GB"
        millions = b.weights_bytes / b.param_bytes / 1e6
        table.add_row(name, f"{millions:,.0f} million", weights, f"{b.kv_bytes_per_token / 1e3:,.0f} kB", source)
    table.caption = "any other: the path of its config.json, in the functions table"
    return table


def engines() -> Table:
    """The shipped engine profiles."""
    from simlora.latency import list_engines, load_engine

    table = listing("engine", "what it is", "loader", "source")
    for name in list_engines():
        engine = load_engine(name)
        table.add_row(name, engine.title, engine.default_loader, engine.source)
    return table


def loaders() -> Table:
    """The shipped loaders of checkpoints and adapters."""
    from simlora.latency import loaders as shipped

    table = listing("loader", "what it is", "to a GPU at most", "source")
    for name, loader in shipped().items():
        ways = [f"{w.bytes_per_s / 1e9:g} GB/s from {w.source_tier}" for w in loader.path if w.to_tier == "device"]
        table.add_row(name, loader.title, ", ".join(ways), loader.source)
    table.caption = "other rates: loader_bytes_per_s = { ssd-to-device = 12e9 } in a system"
    return table


def gpus() -> Table:
    """The GPUs of the hardware catalogue."""
    from simlora.latency import hardware

    table = listing("GPU", "what it is", "usable memory", "its bandwidth", "bf16", "source")
    for name, gpu in hardware().gpus.items():
        figures = (f"{gpu.usable_bytes / 1e9:.1f} GB", f"{gpu.hbm_bytes_per_s / 1e9:,.0f} GB/s")
        table.add_row(name, gpu.title, *figures, f"{gpu.flops_per_s / 1e12:,.0f} TFLOP/s", gpu.source)
    return table


def nodes() -> Table:
    """The machines of the hardware catalogue, the values of ``cluster.node_type``."""
    from simlora.latency import hardware

    table = listing("node type", "GPUs", "host memory", "storage", "network", "source")
    for name, node in hardware().nodes.items():
        rates = (f"{rate / 1e9:g} GB/s" for rate in (node.ssd_bytes_per_s, node.nic_bytes_per_s))
        table.add_row(name, f"{node.gpus} {node.gpu}", f"{node.host_bytes / 1e9:,.0f} GB", *rates, node.source)
    table.caption = "other figures: host_bytes, ssd_bytes_per_s, nic_bytes_per_s, remote_bytes_per_s in [cluster]"
    return table
