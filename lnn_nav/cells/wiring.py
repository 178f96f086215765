"""Which neuron hears which: a wiring is a table of polarities, and never changes.

Wirings of `lnn_nav.cells.wirings` equal those of `ncps` (Lechner et al., "Neural circuit policies
enabling auditable autonomy", Nature Machine Intelligence 2, 2020) bit for bit at the same seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

FORMAT = "lnn_nav wiring 1"


@dataclass(frozen=True, eq=False)
class Wiring:
    """Neurons in layers, and the polarity of every synapse: 1 excites, -1 inhibits, 0 is none.

    The first neurons are the outputs. Tables are copied and read-only; wirings with the same tables
    and layers are equal, and hash alike.

    Attributes:
        synapses: from neuron (row) to neuron (column) `[neurons, neurons]`.
        senses: from input (row) to neuron (column) `[inputs, neurons]`.
        layers: names and neurons of the layers, in the order in which signals pass them.
        outputs: how many neurons are outputs.
    """

    synapses: np.ndarray
    senses: np.ndarray
    layers: tuple[tuple[str, tuple[int, ...]], ...]
    outputs: int

    def __post_init__(self) -> None:
        """Check the tables and make them read-only.

        Raises:
            ValueError: a table has another shape or other numbers than -1, 0 and 1, the layers do
                not hold every neuron once, or there are more outputs than neurons.
        """
        for name in ("synapses", "senses"):
            table = np.array(getattr(self, name))
            if table.ndim != 2 or not np.isin(table, (-1, 0, 1)).all():
                raise ValueError(f"{name}: expected a table of -1, 0 and 1, got {table!r}")
            table = table.astype(np.int8)
            table.setflags(write=False)
            object.__setattr__(self, name, table)
        count = self.synapses.shape[0]
        if self.synapses.shape != (count, count) or self.senses.shape[1] != count:
            shapes = f"{self.synapses.shape} and {self.senses.shape}"
            raise ValueError(f"synapses, senses: expected [n, n] and [inputs, n], got {shapes}")
        layers = tuple((str(name), tuple(map(int, ids))) for name, ids in self.layers)
        object.__setattr__(self, "layers", layers)
        if sorted(neuron for _, ids in layers for neuron in ids) != list(range(count)):
            raise ValueError(f"layers: expected each of {count} neurons once, got {layers}")
        if not 0 < self.outputs <= count:
            raise ValueError(f"outputs: expected 1 to {count}, got {self.outputs}")

    @property
    def neurons(self) -> int:
        """How many neurons."""
        return self.synapses.shape[0]

    @property
    def inputs(self) -> int:
        """How many inputs."""
        return self.senses.shape[0]

    @property
    def synapse_count(self) -> int:
        """Synapses between neurons."""
        return int(np.count_nonzero(self.synapses))

    @property
    def sense_count(self) -> int:
        """Synapses from inputs to neurons."""
        return int(np.count_nonzero(self.senses))

    def layer_of(self, neuron: int) -> str:
        """Name of the layer that holds a neuron.

        Raises:
            ValueError: there is no such neuron.
        """
        for name, ids in self.layers:
            if neuron in ids:
                return name
        raise ValueError(f"neuron: expected 0 to {self.neurons - 1}, got {neuron}")

    def reaches(self) -> Bool[np.ndarray, "inputs neurons"]:
        """Whether an input reaches a neuron, over any number of synapses."""
        step = (self.synapses != 0) | np.eye(self.neurons, dtype=bool)
        reached = self.senses != 0
        while True:
            further = (reached.astype(int) @ step.astype(int)) > 0
            if (further == reached).all():
                return reached
            reached = further

    def to_json(self) -> str:
        """As text; `from_json` gives an equal wiring."""
        return json.dumps(
            {
                "format": FORMAT,
                "neurons": self.neurons,
                "inputs": self.inputs,
                "outputs": self.outputs,
                "layers": [[name, list(ids)] for name, ids in self.layers],
                "synapses": _listed(self.synapses),
                "senses": _listed(self.senses),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Wiring:
        """A wiring from `to_json`.

        Raises:
            ValueError: the text is something else; the message names the field.
        """
        try:
            plain = json.loads(text)
        except json.JSONDecodeError as refusal:
            raise ValueError(f"wiring: expected JSON, got {text[:40]!r}") from refusal
        if not isinstance(plain, Mapping) or plain.get("format") != FORMAT:
            raise ValueError(f"format: expected {FORMAT!r}, got {text[:40]!r}")
        neurons, inputs, outputs = (
            _count(plain, name) for name in ("neurons", "inputs", "outputs")
        )
        try:
            layers = tuple((name, tuple(ids)) for name, ids in plain["layers"])
        except (KeyError, TypeError, ValueError) as refusal:
            raise ValueError(f"layers: expected pairs, got {plain.get('layers')!r}") from refusal
        synapses = _table(plain, "synapses", (neurons, neurons))
        return cls(synapses, _table(plain, "senses", (inputs, neurons)), layers, outputs)

    def __eq__(self, other: object) -> bool:
        """Whether the other is a wiring with the same tables, layers and outputs."""
        return isinstance(other, Wiring) and self._key() == other._key()

    def __hash__(self) -> int:
        """Of what `__eq__` compares."""
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        tables = (self.synapses, self.senses)
        return (*((t.shape, t.tobytes()) for t in tables), self.layers, self.outputs)


def _listed(table: Int[np.ndarray, "sources targets"]) -> list[list[int]]:
    """Source, target and polarity of each synapse."""
    return [[int(a), int(b), int(table[a, b])] for a, b in np.argwhere(table)]


def _count(plain: Mapping[str, Any], name: str) -> int:
    value = plain.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100_000:
        raise ValueError(f"{name}: expected a count, got {value!r}")
    return value


def _table(
    plain: Mapping[str, Any], name: str, shape: tuple[int, int]
) -> Int[np.ndarray, "sources targets"]:
    table = np.zeros(shape, np.int8)
    listed = plain.get(name)
    if not isinstance(listed, Iterable):
        raise ValueError(f"{name}: expected a list of synapses, got {listed!r}")
    for synapse in listed:
        try:
            source, target, polarity = map(int, synapse)
        except (TypeError, ValueError) as refusal:
            text = f"{name}: expected source, target, polarity, got {synapse!r}"
            raise ValueError(text) from refusal
        if not (0 <= source < shape[0] and 0 <= target < shape[1] and polarity in (-1, 1)):
            raise ValueError(f"{name}: {synapse!r} is no synapse of a table of {shape}")
        table[source, target] = polarity
    return table
