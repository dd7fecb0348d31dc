"""The process of a function instance, or of a backbone: does what it is asked until it is told to quit.

``python -m simlora.backends.torch_gpu.worker PIPE STOPS DEVICE``, started by :class:`.process.Worker`. Libraries are
imported only when asked for, since importing them is a stage of a cold start.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simlora.backends.torch_gpu.ending import die_with_parent
from simlora.backends.torch_gpu.page_cache import out_of_cache

if TYPE_CHECKING:
    import torch

    from simlora.backends.torch_gpu.batch import Batch

WARM_UP_TOKENS = 16


class Process:
    """What it holds. Each public method is something that can be asked for; times are ``time.monotonic`` readings."""

    def __init__(self, stops: socket.socket, device: str):
        self._stops = stops
        self._device_name = device
        self._tensors: dict[str, torch.Tensor] = {}
        self._model: Any = None
        self._folder = Path()
        self._batch: Batch | None = None
        self._adapters: list[str] = []
        self._merged = self._shares = False

    # ------------------------------------------------------------------ the stages of a cold start

    def interpreter(self) -> None:
        """It runs: that is all."""

    def library(self) -> None:
        """Import what serving needs."""
        import peft  # noqa: F401
        import transformers

        import simlora.backends.torch_gpu.batch
        import simlora.backends.torch_gpu.weights  # noqa: F401

        transformers.utils.logging.set_verbosity_error()
        _ = transformers.LlamaForCausalLM  # its module is imported when it is first named

    def context(self) -> None:
        """The device context."""
        import torch

        torch.set_num_threads(1)
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)
        torch.empty(1, device=self._device_name)
        self._sync()

    def load(self, folder: str, cold: bool, stays: bool = True) -> None:
        """The weights, into this process; ``cold``: from storage; unless it ``stays``, it leaves the page cache."""
        from simlora.backends.torch_gpu import weights

        self._folder = Path(folder)
        if cold:
            out_of_cache(self._folder)
        self._tensors = weights.load(self._folder, self._device)
        if self._device.type == "cpu":
            for tensor in self._tensors.values():
                tensor.share_memory_()
        self._sync()
        if not stays:
            # Beside what follows: to forget gigabytes takes a second, which is no part of a load.
            threading.Thread(target=out_of_cache, args=(self._folder,), daemon=True).start()

    def build(self) -> None:
        """The model around the weights."""
        self._built()

    def export(self) -> bytes:
        """Handles of the weights, for one other process."""
        from simlora.backends.torch_gpu import weights

        return weights.export(self._tensors)

    def map(self, folder: str, handles: bytes) -> None:
        """The weights of another process, in place."""
        from simlora.backends.torch_gpu import weights

        self._folder = Path(folder)
        self._tensors = weights.mapped(handles)
        self._shares = True
        self._built()

    def adapter(self, name: str, folder: str) -> None:
        """An adapter, unmerged, into this process, in the precision of its file."""
        from peft import PeftModel

        model, how = self._built(), {"autocast_adapter_dtype": False, "torch_device": self._device_name}
        if not self._adapters:
            self._model = PeftModel.from_pretrained(model, folder, adapter_name=name, **how).eval()
        else:
            model.load_adapter(folder, adapter_name=name, **how)
        self._adapters.append(name)
        self._sync()

    def kernels(self) -> None:
        """What is compiled or loaded at first use: one product of each shape that a step has."""
        import torch

        with torch.inference_mode():
            for tensor in {tuple(t.shape): t for t in self._tensors.values() if t.dim() == 2}.values():
                rows = torch.ones(WARM_UP_TOKENS, tensor.shape[1], dtype=tensor.dtype, device=self._device)
                torch.nn.functional.linear(rows, tensor)
        self._sync()

    def first_run(self) -> None:
        """A first inference of nothing in particular."""
        from simlora.backends.torch_gpu.batch import Chunk

        batch = self._new_batch()
        batch.prefill([Chunk(0, self._adapters[0] if self._adapters else "", WARM_UP_TOKENS, 0, True)])
        batch.decode()
        self._sync()

    def set_mode(self, adapter: str | None) -> None:
        """Merge this adapter into the weights, having taken out the one that was; none: all are unmerged."""
        if self._shares:
            raise RuntimeError("weights that others map cannot change")
        if self._merged:
            self._model.unmerge_adapter()
        if adapter is not None:
            self._model.set_adapter(adapter)
            self._model.merge_adapter([adapter])
        self._merged = adapter is not None
        if self._batch is not None:
            self._batch.serve_only(adapter)
        self._sync()

    # ------------------------------------------------------------------ what leaves

    def drop_adapter(self, name: str) -> None:
        """One adapter less."""
        self._batch = None
        self._adapters.remove(name)
        if self._adapters:
            self._model.delete_adapter(name)
        else:
            self._model = self._model.unload()
        self._free()

    def drop_backbone(self) -> None:
        """The weights, own or mapped, and all that stands on them."""
        self._batch = self._model = None
        self._adapters, self._tensors = [], {}
        self._free()

    # ------------------------------------------------------------------ steps

    def run(
        self, number: int, chunks: Sequence[tuple[int, str, int, int, bool]], gone: Sequence[int], at_most: int
    ) -> tuple[int, float]:
        """Steps of the running batch, ``gone`` having left it: how many were done, and when the first prefill ended."""
        from simlora.backends.torch_gpu.batch import Chunk

        if self._batch is None:
            self._batch = self._new_batch()
        batch, first_s, done = self._batch, 0.0, 0
        batch.mixed = self._mixed
        batch.leave(gone)
        while done < at_most:
            decoding = bool(batch.rows)
            if decoding:
                batch.decode()
            if chunks and not done:
                batch.prefill([Chunk(*chunk) for chunk in chunks])
                first_s = time.monotonic()
            done += 1
            if self._stopped(number):
                break
        return done, first_s

    def _stopped(self, number: int) -> bool:
        while select.select([self._stops], [], [], 0)[0]:
            if int.from_bytes(self._stops.recv(8)) == number:
                return True
        return False

    # ------------------------------------------------------------------ looking

    def memory(self) -> dict[str, int]:
        """Bytes that torch has allocated on the device in this process, and what the driver says is free."""
        import torch

        if self._device.type != "cuda":
            return {"allocated": sum(t.nbytes for t in self._tensors.values())}
        free, _ = torch.cuda.mem_get_info(self._device)
        return {"allocated": torch.cuda.memory_allocated(self._device), "free": free}

    def checksum(self) -> int:
        """Of the weights."""
        from simlora.backends.torch_gpu import weights

        return weights.checksum(self._tensors)

    def logits(self, ids: Sequence[int], adapter: str) -> list[float]:
        """Of the last of these tokens."""
        import torch

        with torch.inference_mode():
            out = self._built()(input_ids=torch.tensor([list(ids)], device=self._device))
        values: list[float] = out.logits[0, -1].float().tolist()
        return values

    # ------------------------------------------------------------------

    @property
    def _device(self) -> torch.device:
        import torch

        return torch.device(self._device_name)

    def _built(self) -> Any:
        from simlora.backends.torch_gpu import weights

        if self._model is None:
            self._model = weights.build(self._folder, self._tensors, self._device)
        return self._model

    def _new_batch(self) -> Batch:
        from simlora.backends.torch_gpu.batch import Batch

        return Batch(self._built(), self._device, self._mixed)

    @property
    def _mixed(self) -> bool:
        """Whether requests of one batch may name different adapters, which may have come since it began."""
        return len(self._adapters) > 1 and not self._merged

    def _sync(self) -> None:
        import torch

        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _free(self) -> None:
        import torch

        gc.collect()
        torch.cuda.empty_cache()


def main() -> None:
    """Answer until told to quit, or until whoever asks is gone."""
    pipe_fd, stops_fd, device = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    multiprocessing.current_process().authkey = bytes.fromhex(os.environ["SIMLORA_AUTHKEY"])
    pipe, process = Connection(int(pipe_fd)), Process(socket.socket(fileno=int(stops_fd)), device)
    while True:
        try:
            what, how = pipe.recv()
        except EOFError:
            return
        if what == "quit":
            return
        pipe.send(_done(getattr(process, what), how))


def _done(do: Callable[..., Any], how: dict[str, Any]) -> tuple[bool, Any]:
    """(True, the answer) or (False, what went wrong): a process outlives what it could not do."""
    try:
        return True, do(**how)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
