"""Neural circuit policies: inputs, inter, command and motor neurons, sparsely wired in this order.

Lechner et al., Nature Machine Intelligence 2 (2020), after the nervous system of C. elegans.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from lnn_nav.cells.wiring import Wiring
from lnn_nav.cells.wirings.full import check_sizes

Table = Int[np.ndarray, "sources targets"]


def ncp(
    inputs: int,
    inter: int,
    command: int,
    motor: int,
    *,
    sensory_fanout: int,
    inter_fanout: int,
    recurrent: int,
    motor_fanin: int,
    seed: int = 22222,
) -> Wiring:
    """Wire a neural circuit policy; motor neurons come first, then command, then inter neurons.

    Args:
        inputs: number of inputs.
        inter: inter neurons, which hear the inputs.
        command: command neurons, which hear inter neurons and each other.
        motor: motor neurons, which hear command neurons; the outputs.
        sensory_fanout: inter neurons that hear an input.
        inter_fanout: command neurons that hear an inter neuron.
        recurrent: synapses that are drawn among command neurons; some may be drawn twice.
        motor_fanin: command neurons that a motor neuron hears.
        seed: of synapses and polarities.

    Raises:
        ValueError: a number is not positive, or there are fewer neurons than one is to be wired to.
    """
    check_sizes(inputs, min(inter, command, motor))
    _check_fan("sensory_fanout", sensory_fanout, inter)
    _check_fan("inter_fanout", inter_fanout, command)
    _check_fan("motor_fanin", motor_fanin, command)
    rng = np.random.RandomState(seed)
    neurons = inter + command + motor
    motors, commands = range(motor), range(motor, motor + command)
    inters, senses_of = range(motor + command, neurons), range(inputs)
    synapses, senses = np.zeros((neurons, neurons), np.int8), np.zeros((inputs, neurons), np.int8)
    _spread(rng, senses, senses_of, inters, sensory_fanout, inputs)
    _spread(rng, synapses, inters, commands, inter_fanout, min(command, inter))
    for _ in range(recurrent):
        source, target = rng.choice(commands), rng.choice(commands)
        synapses[source, target] = rng.choice((-1, 1))
    # Motor neurons choose whom they hear.
    _spread(rng, synapses.T, motors, commands, motor_fanin, motor)
    layers = (("inter", tuple(inters)), ("command", tuple(commands)), ("motor", tuple(motors)))
    return Wiring(synapses, senses, layers, motor)


def auto_ncp(
    inputs: int, neurons: int, outputs: int, *, sparsity: float = 0.5, seed: int = 22222
) -> Wiring:
    """A neural circuit policy of a size: two fifths of the neurons that are no output command.

    Args:
        inputs: number of inputs.
        neurons: number of neurons.
        outputs: how many of them are motor neurons, at most `neurons` - 3.
        sparsity: share of the possible synapses between layers that do not exist, 0.1 to 0.9.
        seed: of synapses and polarities.

    Raises:
        ValueError: a number does not fit.
    """
    if not 0 < outputs < neurons - 2:
        raise ValueError(f"outputs: expected 1 to {neurons - 3}, got {outputs}")
    if not 0.1 <= sparsity <= 0.9:
        raise ValueError(f"sparsity: expected 0.1 to 0.9, got {sparsity}")
    density, others = 1.0 - sparsity, neurons - outputs
    command = max(int(0.4 * others), 1)
    inter = others - command
    return ncp(
        inputs,
        inter,
        command,
        outputs,
        sensory_fanout=max(int(inter * density), 1),
        inter_fanout=max(int(command * density), 1),
        recurrent=max(int(command * density * 2), 1),
        motor_fanin=max(int(command * density), 1),
        seed=seed,
    )


def _spread(
    rng: np.random.RandomState,
    table: Table,
    near: Sequence[int],
    far: Sequence[int],
    fan: int,
    most: int,
) -> None:
    """Wire each near neuron to `fan` far ones, then far ones that were left out to some near ones.

    Args:
        rng: draws.
        table: written to, `[near, far]`.
        near: who chooses.
        far: who is chosen.
        fan: how many each chooses.
        most: near ones that a far one left out is wired to, at most.
    """
    left = set(far)
    for one in near:
        for other in rng.choice(far, size=fan, replace=False):
            left.discard(int(other))
            table[one, other] = rng.choice((-1, 1))
    mean = int(np.clip(int(len(near) * fan / len(far)), 1, most))
    for other in sorted(left):
        for one in rng.choice(near, size=mean, replace=False):
            table[one, other] = rng.choice((-1, 1))


def _check_fan(name: str, fan: int, count: int) -> None:
    if not 0 < fan <= count:
        raise ValueError(f"{name}: expected 1 to {count}, got {fan}")
