"""Where the weights of an experiment lie: model and adapter folders, made of random numbers where there are none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from simlora.entities import Backbone, Function
from simlora.errors import ConfigError
from simlora.study.store import one_message

SPARE_BYTES = 1_000_000_000


def prepare(functions: Sequence[Function], folder: Path) -> tuple[dict[Backbone, Path], dict[Function, Path]]:
    """Folders of all backbones and adapters below ``folder``; what is there already is used as it is.

    Raises :class:`ConfigError` if torch is not installed, or the disk has no room for what is to be made.
    """
    backbones = list(dict.fromkeys(function.backbone for function in functions))
    models = {backbone: folder / backbone.name for backbone in backbones}
    adapters = {function: folder / f"adapter-{function.index}-{function.id}" for function in functions}
    check_room([b for b in backbones if not models[b].exists()], folder)
    for backbone, path in models.items():
        write_model(backbone, path)
    for function, path in adapters.items():
        write_adapter(function, path)
    return models, adapters


def write_model(backbone: Backbone, folder: Path) -> None:
    """A model folder of random weights, if there is none yet; raises as :func:`prepare`."""
    with _torch_there(), one_message(folder):
        from simlora.backends.torch_gpu.folders import make_model

        make_model(backbone, folder)


def write_adapter(function: Function, folder: Path) -> None:
    """A PEFT folder of random weights, if there is none yet; raises as :func:`prepare`."""
    with _torch_there(), one_message(folder):
        from simlora.backends.torch_gpu.folders import make_adapter

        make_adapter(function, folder)


@contextmanager
def _torch_there() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed; the extra gpu brings it: pip install simlora[gpu]") from None


def check_room(backbones: Sequence[Backbone], folder: Path) -> None:
    """Whether these can be written; :class:`ConfigError` with bytes wanted and free otherwise."""
    wanted = sum(backbone.weights_bytes for backbone in backbones) + SPARE_BYTES
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if wanted > free:
        names = ", ".join(backbone.name for backbone in backbones)
        raise ConfigError(f"{folder}: {names} want {wanted / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB are free")
