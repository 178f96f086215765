"""The networks that flew in Chahine et al., Science Robotics 8 (2023): image in, velocities out.

Five convolutions, a linear layer to 128 features, a recurrent cell and a linear head. Where the
network takes a command, its two numbers pass a layer of 128 of their own, and the cell hears both.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells import Cell

STRIDES = (2, 2, 2, 1, 2)
"""Of the five convolutions."""
IMAGE = (144, 256, 3)
"""Height, width and colours of the frames that were flown with."""
LEAST_DEVIATION = 1e-7
"""Keras divides by no less."""


class FrameError(ValueError):
    """Frames or commands do not fit the network."""


class Trunk(nnx.Module):
    """Convolutions and a linear layer: an image to features.

    Attributes:
        mean: of the colours, as shares of 255; None where images come normalised.
        deviation: of the colours.
        kernels: of the convolutions `[height, width, in, out]`.
        biases: of the convolutions.
        last: from the flattened image to the features.
    """

    def __init__(
        self,
        layers: list[tuple[np.ndarray, np.ndarray]],
        last: nnx.Linear,
        colours: tuple[np.ndarray, np.ndarray] | None,
    ) -> None:
        """Take kernels and biases as they are."""
        self.kernels = nnx.List(nnx.Param(jnp.asarray(kernel)) for kernel, _ in layers)
        self.biases = nnx.List(nnx.Param(jnp.asarray(bias)) for _, bias in layers)
        self.last = last
        self.mean = self.deviation = nnx.data(None)
        if colours is not None:
            mean, variance = colours
            self.mean = nnx.Variable(jnp.asarray(mean))
            deviation = np.maximum(np.sqrt(variance), LEAST_DEVIATION)
            self.deviation = nnx.Variable(jnp.asarray(deviation))

    def takes(self, image: tuple[int, ...]) -> bool:
        """Whether images of this height, width and number of colours leave as much as is heard."""
        height, width, colours = image
        for kernel, stride in zip(self.kernels, STRIDES, strict=True):
            high, wide, _, _ = kernel.shape
            height, width = (height - high) // stride + 1, (width - wide) // stride + 1
        channels = self.kernels[-1].shape[-1]
        heard = height * width * channels == self.last.kernel.shape[0]
        return colours == self.kernels[0].shape[2] and min(height, width) > 0 and heard

    def __call__(self, frames: Float[Array, "n height width 3"]) -> Float[Array, "n features"]:
        """Features of images; colours are 0 to 255, or normalised where the network is so."""
        if self.mean is not None and self.deviation is not None:
            frames = (frames / 255 - self.mean[...]) / self.deviation[...]
        for kernel, bias, stride in zip(self.kernels, self.biases, STRIDES, strict=True):
            frames = jax.lax.conv_general_dilated(
                frames,
                kernel[...],
                (stride, stride),
                "VALID",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
            frames = jax.nn.relu(frames + bias[...])
        return self.last(frames.reshape(frames.shape[0], -1))


class DroneNetwork(nnx.Module):
    """A whole network; `network(frames)` flies through a sequence from a memory of zeros.

    Attributes:
        trunk: image to features.
        listen: command to features, or None.
        cell: the recurrent cell.
        head: to the four velocities; None where the cell's outputs are they.
        dt: what the cell takes for the time between frames: 1 as a rule.
    """

    def __init__(
        self,
        trunk: Trunk,
        cell: Cell,
        *,
        listen: nnx.Linear | None = None,
        head: nnx.Linear | None = None,
        dt: float = 1.0,
    ) -> None:
        """Put the parts together."""
        self.trunk, self.listen, self.cell, self.head = trunk, listen, cell, head
        self.dt = dt

    def __call__(
        self, frames: Array | np.ndarray, command: Array | np.ndarray | None = None
    ) -> Float[Array, "T 4"]:
        """Velocities for a sequence of images.

        Args:
            frames: `[T, height, width, 3]`, 0 to 255, of any dtype.
            command: two numbers, or two for each frame `[T, 2]`; for networks that take one.

        Raises:
            FrameError: a shape does not fit, or a command is missing or too much.
        """
        features = self.features(frames, command)
        return self.steer(jnp.zeros(self.cell.memory_size, features.dtype), features)[1]

    def step(
        self,
        memory: Float[Array, " m"],
        frame: Array | np.ndarray,
        command: Array | np.ndarray | None = None,
    ) -> tuple[Float[Array, " m"], Float[Array, " 4"]]:
        """One image; `memory` is zeros `[cell.memory_size]` at the start."""
        memory, velocities = self.steer(memory, self.features(frame[None], command))
        return memory, velocities[0]

    def features(
        self, frames: Array | np.ndarray, command: Array | np.ndarray | None = None
    ) -> Float[Array, "T features"]:
        """What the cell hears; arguments and errors as for a call."""
        frames = jnp.asarray(frames)
        if frames.ndim != 4 or not self.trunk.takes(frames.shape[1:]):
            height, width, colours = IMAGE
            wanted = f"(T, {height}, {width}, {colours}), or another size with as many features"
            raise FrameError(f"frames: expected {wanted}, got {frames.shape}")
        features = self.trunk(frames.astype(self.trunk.last.kernel[...].dtype))
        if (self.listen is None) != (command is None):
            asked = "no command" if self.listen is None else "a command of two numbers"
            raise FrameError(f"command: expected {asked}, got {command}")
        if self.listen is None:
            return features
        command = jnp.asarray(command, features.dtype)
        if command.shape not in ((2,), (len(frames), 2)):
            raise FrameError(f"command: expected (2,) or {len(frames), 2}, got {command.shape}")
        heard = jax.nn.relu(self.listen(jnp.broadcast_to(command, (len(frames), 2))))
        return jnp.concatenate([features, heard], axis=-1)

    def steer(
        self, memory: Float[Array, " m"], features: Float[Array, "T features"]
    ) -> tuple[Float[Array, " m"], Float[Array, "T 4"]]:
        """Cell and head over features; the memory after them, and the velocities."""

        def onward(memory: Array, heard: Array) -> tuple[Array, Array]:
            return self.cell(memory, heard, self.dt)

        memory, outputs = jax.lax.scan(onward, memory, features)
        return memory, outputs if self.head is None else self.head(outputs)
