"""Writes what `ncps` 1.0.1 wires (`ncps_wirings.json`) and answers (`ncps_cells.npz`).

Run it where torch and ncps can be imported. The tests draw the same sizes and weights from here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def drawn_sizes() -> list[dict]:
    """200 wirings of each kind."""
    rng, sizes = np.random.default_rng(0), []
    for seed in range(200):
        neurons = int(rng.integers(8, 60))
        outputs = int(rng.integers(1, max(2, neurons // 3)))
        inputs, sparsity = int(rng.integers(1, 40)), round(float(rng.uniform(0.1, 0.9)), 3)
        sizes.append(
            {
                "seed": seed,
                "inputs": inputs,
                "neurons": neurons,
                "outputs": outputs,
                "sparsity": sparsity,
            }
        )
    return sizes


def digest(synapses: np.ndarray, senses: np.ndarray) -> str:
    """Of both tables, as 8-bit numbers."""
    tables = (np.ascontiguousarray(table, np.int8) for table in (synapses, senses))
    return hashlib.sha256(b"".join(table.tobytes() for table in tables)).hexdigest()[:24]


INPUTS, BATCH, STEPS, KEPT = 8, 3, 32, (0, 31)
KINDS = ("full", "auto_ncp", "ncp", "random")


def cases() -> list[tuple[str, str, str, bool, bool]]:
    """48 CfCs and 12 LTCs: family, wiring, mode, mixed memory, irregular time."""
    flags = [(mixed, irregular) for mixed in (False, True) for irregular in (False, True)]
    modes = ("gated", "no_gate", "pure")
    cfcs = [("cfc", kind, mode, *f) for kind in KINDS for mode in modes for f in flags]
    return cfcs + [("ltc", kind, "-", *f) for kind in KINDS if kind != "ncp" for f in flags]


def drawn_inputs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs `[B, T, i]` and elapsed times `[B, T]`."""
    rng = np.random.default_rng([seed, 1])
    return rng.normal(size=(BATCH, STEPS, INPUTS)), rng.uniform(0.05, 2.0, (BATCH, STEPS))


def drawn_weights(shown: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Numbers of a trained network's size for every array but the masks, in the order of names."""
    rng, weights = np.random.default_rng([seed, 2]), {}
    for name in sorted(shown):
        value, last = np.asarray(shown[name], float), name.rsplit(".", 1)[-1]
        size = value.shape
        if last.endswith("mask"):
            weights[name] = value
        elif last.endswith("erev"):
            weights[name] = value * rng.uniform(0.5, 1.5, size)
        elif last.endswith("sigma"):
            weights[name] = rng.uniform(3, 8, size)
        elif last.endswith("mu"):
            weights[name] = rng.uniform(0.3, 0.8, size)
        elif last == "weight":
            weights[name] = rng.normal(size=size) / np.sqrt(size[-1])
        else:
            weights[name] = rng.uniform(-0.5, 1.0, size)
    return weights


def main() -> None:
    """Wire and answer with ncps."""
    wire_all()
    answer_all()


def answer_all() -> None:
    """Outputs of every case in both precisions, at the steps that are kept."""
    import torch
    from ncps.torch import LTC, CfC
    from ncps.wirings import NCP, AutoNCP, FullyConnected, Random

    kept = {}
    for seed, (family, kind, mode, mixed, irregular) in enumerate(cases()):
        wiring = {
            "full": FullyConnected(16) if family == "ltc" else 48,
            "auto_ncp": AutoNCP(32, 4),
            "ncp": NCP(10, 10, 8, 6, 6, 4, 6),
            "random": Random(24, 4, 0.5),
        }[kind]
        more = {} if family == "ltc" else {"mode": "default" if mode == "gated" else mode}
        net = (LTC if family == "ltc" else CfC)(INPUTS, wiring, mixed_memory=mixed, **more)
        shown = {name: value.numpy() for name, value in net.state_dict().items()}
        weights = drawn_weights(shown, seed)
        inputs, elapsed = drawn_inputs(seed)
        for dtype in (torch.float32, torch.float64):
            net = net.to(dtype)
            net.load_state_dict({k: torch.as_tensor(v, dtype=dtype) for k, v in weights.items()})
            x, ts = torch.as_tensor(inputs, dtype=dtype), torch.as_tensor(elapsed, dtype=dtype)
            hidden = torch.zeros((BATCH, net.state_size), dtype=dtype)
            carry, outputs = torch.zeros_like(hidden), []
            for t in range(STEPS):
                # Through the cells: with a batch of times the module fails, or answers wrongly.
                now = ts[:, t : t + 1] if irregular else 1.0
                if mixed:
                    hidden, carry = net.lstm(x[:, t], (hidden, carry))
                output, hidden = net.rnn_cell(x[:, t], hidden, now)
                outputs.append(output.detach().numpy())
            name = f"{seed:02} {family} {kind} {mode} {mixed} {irregular} {outputs[0].dtype}"
            kept[name] = np.stack([outputs[t] for t in KEPT])
    np.savez_compressed(HERE / "ncps_cells.npz", **kept)


def wire_all() -> None:
    """Digests of 200 wirings of each kind."""
    from ncps.wirings import AutoNCP, FullyConnected, Random

    rows = []
    for size in drawn_sizes():
        seed, neurons, outputs, sparsity = (
            size[name] for name in ("seed", "neurons", "outputs", "sparsity")
        )
        wirings = {
            "auto_ncp": AutoNCP(neurons, outputs, sparsity, seed),
            "random_wiring": Random(neurons, outputs, sparsity, seed),
            "fully_connected": FullyConnected(neurons, outputs, seed),
        }
        row = dict(size)
        for name, wiring in wirings.items():
            wiring.build(size["inputs"])
            row[name] = digest(wiring.adjacency_matrix, wiring.sensory_adjacency_matrix)
        rows.append(row)
    lines = ",\n".join(json.dumps(row) for row in rows)
    (HERE / "ncps_wirings.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
