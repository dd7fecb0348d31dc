"""``python -m calibrate.arrivals_lstm``: the weights of the forecast ``lstm``, trained with torch on real functions.

Two LSTM layers of 64 and a linear one (Predictive-LoRA, arXiv 2512.20210), from the counts of ten minutes to the chance
of a call in the next. Reads ``$SIMLORA_DATA/traces`` and writes ``simlora/policies/forecast/lstm.npz``: 16-bit weights,
some windows with torch's answers, and a JSON text that states data, seed, versions and errors. It learns from the 369
functions of the eight-hour cut; its errors are those on the 635 of the day cut, which is what experiments replay. No
function is in both, but for timers whose counts are the same.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

try:
    import torch
except ModuleNotFoundError:
    sys.exit("python -m calibrate.arrivals_lstm needs torch: pip install 'simlora[gpu]'")

from calibrate.data import ending, public_data
from simlora.policies.forecast import Ewma
from simlora.policies.forecast.network import WEIGHTS, Network
from simlora.workload.readers.azure_functions import CUTS, read_minute_counts

LEARNT, HELD_OUT = "8h", "day"
MINUTES, HIDDEN, EPOCHS, BATCH, STEP, SEED = 10, 64, 20, 1024, 2e-3, 0
SHOWN = 16  # windows stored with torch's answers
SOURCE = "Azure/AzurePublicDataset, AzureFunctionsDataset2019, CC-BY 4.0"
Array = np.ndarray[Any, Any]


class Model(torch.nn.Module):
    """The network as it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(1, HIDDEN, num_layers=2, batch_first=True)
        self.out = torch.nn.Linear(HIDDEN, 1)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of windows of counts."""
        steps, _ = self.lstm(torch.log1p(windows)[:, :, None])
        logits: torch.Tensor = self.out(steps[:, -1])[:, 0]
        return logits


def read(name: str) -> Array:
    """Counts of a cut, by function and minute."""
    cut = CUTS[name]
    return np.stack(list(read_minute_counts(public_data(cut.file), cut).values()))


def windows_of(counts: Array) -> tuple[Array, Array]:
    """By function and minute from the eleventh on: the counts of the ten before; whether it was called in them."""
    windows = np.lib.stride_tricks.sliding_window_view(counts[:, :-1], MINUTES, axis=1)
    return windows, windows.any(axis=2)


def train(windows: Array, called: Array) -> Model:
    """By Adam on the cross-entropy, with a falling step; the same from run to run."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    model, order = Model(), np.random.default_rng(SEED)
    optimiser = torch.optim.Adam(model.parameters(), STEP)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    loss_of = torch.nn.BCEWithLogitsLoss()
    for epoch in range(EPOCHS):
        total = 0.0
        for part in np.array_split(order.permutation(len(windows)), -(-len(windows) // BATCH)):
            optimiser.zero_grad()
            loss = loss_of(model(torch.from_numpy(windows[part])), torch.from_numpy(called[part]))
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(part)
        falling.step()
        print(f"epoch {epoch}: cross-entropy {total / len(windows):.4f}", flush=True)
    return model


def arrays_of(model: Model) -> dict[str, Array]:
    """What :class:`Network` reads: weights of 16 bits, transposed for rows of inputs, to which the model is rounded."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half())
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    arrays: dict[str, Array] = {"minutes": np.int16(MINUTES), "w_out": weights["out.weight"][0]}
    arrays["b_out"] = weights["out.bias"]
    for layer in (0, 1):
        arrays[f"w_in_l{layer}"] = weights[f"lstm.weight_ih_l{layer}"].T
        arrays[f"w_state_l{layer}"] = weights[f"lstm.weight_hh_l{layer}"].T
        arrays[f"bias_l{layer}"] = weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
    wide = ("bias_l0", "bias_l1")  # sums of two
    return {name: a.astype(np.float16) if a.dtype.kind == "f" and name not in wide else a for name, a in arrays.items()}


def ewma_chances(counts: Array) -> Array:
    """Like :class:`Ewma` from the first minute on, calls taken as Poisson; by function and minute from the second."""
    average, chances = np.zeros(len(counts)), []
    for minute in counts[:, :-1].T:
        average = average + Ewma().weight * (minute - average)
        chances.append(-np.expm1(-average))
    return np.stack(chances, axis=1)


def errors(chances: Array, called: Array) -> dict[str, float]:
    """Share of minutes on whose wrong side of one half the chance is, and mean squared error (Brier score)."""
    wrong, brier = np.mean((chances > 0.5) != (called > 0)), np.mean((chances - called) ** 2)
    return {"wrong": round(float(wrong), 4), "brier": round(float(brier), 4)}


def judge(network: Network, counts: Array) -> dict[str, Any]:
    """Errors on functions not learnt from, beside the average, the last minute taken for the next, and the mean."""
    windows, looked_at = windows_of(counts)
    called = (counts[:, MINUTES:] > 0)[looked_at]
    parts = np.array_split(windows[looked_at], -(-len(called) // 4096))
    answers = {
        "lstm": np.concatenate([network.chances(part.tolist()) for part in parts]),
        "ewma": ewma_chances(counts)[:, MINUTES - 1 :][looked_at],
        "naive": (windows[looked_at][:, -1] > 0).astype(float),
        "mean": np.full(len(called), called.mean()),
    }
    facts = {"functions": len(counts), "minutes": len(called), "with a call": round(float(called.mean()), 4)}
    return facts | {name: errors(chances, called) for name, chances in answers.items()}


def main() -> None:
    """Train, judge and store."""
    counts = read(LEARNT)
    windows, looked_at = windows_of(counts)
    seen = windows[looked_at].astype(np.float32)
    model = train(seen, (counts[:, MINUTES:] > 0)[looked_at].astype(np.float32))
    arrays = arrays_of(model)
    shown = seen[np.random.default_rng(SEED).choice(len(seen), SHOWN, replace=False)]
    with torch.no_grad():
        answers = torch.sigmoid(model(torch.from_numpy(shown))).numpy()
    facts = {
        "command": "SIMLORA_DATA=... python -m calibrate.arrivals_lstm",
        "source": SOURCE,
        "learnt from": {"file": CUTS[LEARNT].file, "functions": len(counts), "minutes": len(seen)},
        "training": {"seed": SEED, "epochs": EPOCHS, "batch": BATCH, "step": STEP},
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "held out": {"file": CUTS[HELD_OUT].file, **judge(Network(arrays), read(HELD_OUT))},
    }
    np.savez_compressed(WEIGHTS, facts=json.dumps(facts), shown=shown.astype(np.int64), answers=answers, **arrays)
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    sys.exit(ending(main))
