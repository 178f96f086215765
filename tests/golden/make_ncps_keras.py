"""Writes what the cells of `ncps.keras` (ncps 1.0.1, Keras 3.15) answer: `ncps_keras.json`.

Run it where Keras, jax and ncps can be imported. The tests draw the same weights and inputs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
INPUTS, NEURONS, BATCH, STEPS = 6, 16, 3, 12
MODES = ("default", "no_gate", "pure")


def cases() -> list[tuple[str, str, bool, bool]]:
    """Family, mode, mixed memory, irregular time; with the last two, Keras's own fail."""
    plain = [
        (kind, mode, False, late) for kind in ("cfc", "wired") for mode in MODES for late in (0, 1)
    ]
    mixed = [(kind, mode, True, 0) for kind in ("cfc", "wired") for mode in MODES]
    return [
        *plain,
        *mixed,
        ("deep", "default", False, 1),
        ("ltc", "-", False, 0),
        ("ltc", "-", True, 0),
    ]


def drawn_inputs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs `[T, B, i]` and the time of each step `[T]`."""
    rng = np.random.default_rng([seed, 3])
    inputs = rng.normal(size=(STEPS, BATCH, INPUTS)).astype(np.float32)
    return inputs, rng.uniform(0.05, 2.0, STEPS).astype(np.float32)


def drawn_weights(shapes: list[tuple[str, list[int]]], seed: int) -> dict[str, np.ndarray]:
    """Numbers of a trained network's size, in the order of the weights."""
    rng, weights = np.random.default_rng([seed, 4]), {}
    for name, shape in shapes:
        last = name.rsplit("/", 1)[-1]
        if last.endswith("sigma"):
            value = rng.uniform(3, 8, shape)
        elif last.endswith("erev"):
            value = rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)
        elif last in ("gleak", "cm", "w", "sensory_w", "mu", "sensory_mu"):
            value = rng.uniform(0.1, 0.9, shape)
        elif len(shape) == 2:
            value = rng.normal(size=shape) / np.sqrt(shape[0])
        else:
            value = rng.uniform(-0.5, 1.0, shape)
        weights[name] = value.astype(np.float32)
    return weights


def main() -> None:
    """Ask every case."""
    os.environ["KERAS_BACKEND"] = "jax"
    from ncps.keras import CfCCell, LTCCell, MixedMemoryRNN, WiredCfCCell
    from ncps.wirings import AutoNCP

    rows = []
    for seed, (kind, mode, mixed, irregular) in enumerate(cases()):
        # Built by the cell alone: a second time, ncps wires it anew, and otherwise.
        wiring = AutoNCP(NEURONS, 4)
        cell = {
            "cfc": lambda mode=mode: CfCCell(NEURONS, mode, backbone_units=20, backbone_layers=1),
            "deep": lambda mode=mode: CfCCell(
                NEURONS, mode, activation="silu", backbone_units=20, backbone_layers=2
            ),
            "wired": lambda mode=mode, wiring=wiring: WiredCfCCell(wiring, mode=mode),
            "ltc": lambda wiring=wiring: LTCCell(wiring),
        }[kind]()
        cell = MixedMemoryRNN(cell) if mixed else cell
        cell.build((None, INPUTS))
        shapes = [(weight.path, list(weight.shape)) for weight in cell.weights]
        cell.set_weights(list(drawn_weights(shapes, seed).values()))
        inputs, elapsed = drawn_inputs(seed)
        states, outputs = [np.zeros((BATCH, NEURONS), np.float32)] * (2 if mixed else 1), []
        for x, dt in zip(inputs, elapsed, strict=True):
            given = (x, np.full((1, 1), dt)) if irregular else x
            output, states = cell(given, [states[0], states[1]] if mixed else states)
            if not isinstance(states, list):
                states = [states]
            # The inner cell's list of states is handed on as it is, which fails at the next step.
            states = [state[0] if isinstance(state, list) else state for state in states]
            outputs.append(np.asarray(output, float).tolist())
        rows.append({"weights": shapes, "outputs": [outputs[0], outputs[-1]]})
    lines = ",\n".join(json.dumps(row) for row in rows)
    (HERE / "ncps_keras.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
