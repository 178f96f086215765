"""Writes `ncps_wirings.json`: what `ncps` 1.0.1 wires. Run it where ncps can be imported."""

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


def main() -> None:
    """Wire everything with ncps."""
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
