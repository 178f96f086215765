"""A reservoir: a random recurrent network that is never trained, and a readout that is solved for.

Jaeger, "The echo state approach to analysing and training recurrent neural networks", 2001; with
leaky neurons as in Jaeger, Lukosevicius, Popovici and Siewert, Neural Networks 20 (2007):

    h' = (1 - k) h + k tanh(W_in [1, x] + W h),    k = 1 - (1 - leak)^dt,

so that `leak` is what a neuron forgets in one second, and two steps forget what one step of both
times would. A memory is a convex combination of its last one and of numbers in (-1, 1): |h| never
exceeds max(1, |h(0)|).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

LEAST_LEAK = 1e-6
"""What forgets less is no network in single precision."""


class Frozen(nnx.Variable):
    """Weights that are no `nnx.Param`: an optimizer of parameters leaves them alone."""


class Reservoir(nnx.Module):
    """Echo state network; the output is the new memory, for a readout to look at.

    Attributes:
        inputs: number of input features.
        outputs: number of output features, equal to the memory's.
        memory_size: number of neurons.
        leak: part that a neuron forgets in a second.
        heard: W_in, the first row for the one `[1 + inputs, neurons]`.
        recurrent: W, from neuron (row) to neuron (column) `[neurons, neurons]`.
    """

    def __init__(
        self,
        inputs: int,
        neurons: int,
        *,
        spectral_radius: float = 0.9,
        leak: float = 1.0,
        input_scale: float = 1.0,
        connections: int = 10,
        rngs: nnx.Rngs,
    ) -> None:
        """Draw the weights (float32).

        Args:
            inputs: number of input features.
            neurons: number of neurons.
            spectral_radius: largest absolute eigenvalue of W. Below one the past fades, for all but
                odd inputs; nearer to one it fades more slowly.
            leak: part that a neuron forgets in a second, 1e-6 to 1.
            input_scale: weights of inputs are uniform up to this on either side.
            connections: about so many neurons hear each neuron.
            rngs: source of randomness.

        Raises:
            ValueError: a number is out of its range, or the neurons that were drawn form no loop.
        """
        for name, value, low, high in (
            ("inputs", inputs, 1, np.inf),
            ("neurons", neurons, 1, np.inf),
            ("connections", connections, 1, np.inf),
            ("leak", leak, LEAST_LEAK, 1),
            ("spectral_radius", spectral_radius, 0, np.inf),
            ("input_scale", input_scale, 0, np.inf),
        ):
            if not (low <= value <= high and np.isfinite(value)):
                raise ValueError(f"{name}: expected a number, {low:.2g} to {high}, got {value}")
        self.inputs, self.leak = inputs, leak
        self.outputs = self.memory_size = neurons
        rng = np.random.default_rng(np.asarray(jax.random.bits(rngs(), (4,))))
        heard = input_scale * rng.uniform(-1, 1, (1 + inputs, neurons))
        self.heard = Frozen(jnp.asarray(heard, jnp.float32))
        recurrent = spectral_radius * sparse(rng, neurons, connections)
        self.recurrent = Frozen(jnp.asarray(recurrent, jnp.float32))

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch m"]]:
        """Advance by `dt` [s]; `dt = 0` leaves the memory as it is."""
        heard = self.heard[...]
        total = heard[0] + inputs @ heard[1:] + memory @ self.recurrent[...]
        # All is forgotten at once at a leak of one, but for no time: not -inf, which is no number
        # times zero.
        rate = float(np.log1p(-self.leak)) if self.leak < 1 else -1e30
        taken = -jnp.expm1(rate * jnp.asarray(dt, total.dtype)[..., None])
        memory = (1 - taken) * memory + taken * jnp.tanh(total)
        return memory, memory


def sparse(
    rng: np.random.Generator, neurons: int, connections: int
) -> Float[np.ndarray, "neurons neurons"]:
    """A matrix with few entries and a largest absolute eigenvalue of one.

    Raises:
        ValueError: all its eigenvalues are zero.
    """
    there = rng.random((neurons, neurons)) < connections / neurons
    matrix = np.where(there, rng.normal(size=(neurons, neurons)), 0.0)
    # Only loops have walks as long as there are neurons. Eigenvalues would not tell: where all are
    # zero, rounding alone makes them large.
    walks = there.astype(np.float32)
    for _ in range(neurons.bit_length()):
        walks = (walks @ walks > 0).astype(np.float32)
    if not walks.any():
        raise ValueError(f"connections: no loop among {neurons} neurons with {connections} each")
    return matrix / np.abs(np.linalg.eigvals(matrix)).max()


def ridge(
    states: Float[Array | np.ndarray, "*samples n"],
    targets: Float[Array | np.ndarray, "*targeted o"],
    penalty: float = 1e-6,
) -> nnx.Linear:
    """The linear readout with the least squared error, plus a penalty on its squared weights.

    Minimizes sum |states K + b - targets|^2 + penalty |K|^2; b is not penalized. By a singular
    value decomposition in float64, which does not square the condition of the states as normal
    equations do.

    Args:
        states: outputs of a cell, any number of leading axes.
        targets: what the readout should say, for each of them.
        penalty: of the weights; zero for least squares.

    Returns:
        A layer in the states' dtype, ready to be the `readout` of a `Projected`.

    Raises:
        ValueError: samples do not match, or a number is not finite or negative.
    """
    if np.shape(states)[:-1] != np.shape(targets)[:-1]:
        shapes = f"{np.shape(states)} and {np.shape(targets)}"
        raise ValueError(f"states, targets: expected the same samples, got {shapes}")
    if not 0 <= penalty < np.inf:
        raise ValueError(f"penalty: expected a finite number >= 0, got {penalty}")
    x, y = (np.asarray(part, float).reshape(-1, part.shape[-1]) for part in (states, targets))
    for name, part in (("states", x), ("targets", y)):
        if part.size == 0 or not np.isfinite(part).all():
            raise ValueError(f"{name}: expected finite numbers, got others in {part.shape}")
    left, sizes, right = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    # What is zero but for rounding has no say, as in every pseudo-inverse.
    there = sizes > np.finfo(float).eps * max(x.shape) * sizes.max()
    factors = np.where(there, sizes / np.where(there, sizes**2 + penalty, 1), 0)
    kernel = right.T @ (factors[:, None] * (left.T @ (y - y.mean(axis=0))))
    bias = y.mean(axis=0) - x.mean(axis=0) @ kernel
    layer = nnx.Linear(*kernel.shape, rngs=nnx.Rngs(0))
    dtype = jax.dtypes.canonicalize_dtype(states.dtype)
    layer.kernel = nnx.Param(jnp.asarray(kernel, dtype))
    layer.bias = nnx.Param(jnp.asarray(bias, dtype))
    return layer
