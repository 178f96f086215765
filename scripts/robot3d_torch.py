"""The 3D robot as its authors trained it, over torch and qpth, for comparison.

Written from the published recipe's description (Xiao et al., IEEE T-RO 2023, and
github.com/Weixy21/BarrierNet): 20 epochs of Adam at 1e-3 on batches of 32, in float64. Importing
this needs torch and qpth.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from qpth.qp import QPFunction
from torch import Tensor, nn

from barriernet.examples.robot3d import CENTRE, DT, HALF_WIDTH

if TYPE_CHECKING:
    from barriernet.examples import Demonstrations

EPOCHS, BATCH, RATE = 20, 32, 1e-3


def train_original(shown: Demonstrations, seed: int) -> tuple[OriginalPolicy, int, float]:
    """A policy trained by the published recipe, on one thread; its steps, and the seconds taken."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    policy = OriginalPolicy(shown)
    states, controls = torch.from_numpy(shown.states), torch.from_numpy(shown.controls)
    optimiser = torch.optim.Adam(policy.parameters(), lr=RATE)
    steps, began = 0, time.perf_counter()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(states)).split(BATCH):
            loss = nn.functional.mse_loss(policy.control(states[rows]), controls[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            steps += 1
    return policy, steps, time.perf_counter() - began


def _branch(outputs: int) -> nn.Sequential:
    layers = (nn.Linear(512, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh())
    return nn.Sequential(*layers, nn.Linear(128, outputs)).double()


class OriginalPolicy(nn.Module):
    """6-512-(128, 128)-(3, 2) with tanh; gains 4 sigmoid; the row solved by qpth."""

    def __init__(self, shown: Demonstrations) -> None:
        """Draw the weights, and keep what the observations are standardised by."""
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 512), nn.Tanh()).double()
        self.wish, self.gains = _branch(3), _branch(2)
        self.mean = torch.from_numpy(shown.states.mean(0))
        self.scale = torch.from_numpy(shown.states.std(0))
        self.scene = shown.scenes[0]

    def rows(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Wish, A and b of A u >= b, written out by hand as in the original."""
        seen = self.trunk((states - self.mean) / self.scale)
        wish, gains = self.wish(seen), 4 * torch.sigmoid(self.gains(seen))
        apart, speed = states[:, :3] - torch.tensor(CENTRE).double(), states[:, 3:]
        height = (apart**4).sum(1) - HALF_WIDTH**4
        slope = 4 * apart**3
        bend = (12 * apart**2 * speed**2).sum(1)
        b = -(bend + gains.sum(1) * (slope * speed).sum(1) + gains.prod(1) * height)
        return wish, slope, b

    def control(self, states: Tensor) -> Tensor:
        """The layer's answers to a batch of states."""
        wish, A, b = self.rows(states)
        none, cost = torch.empty(0).double(), torch.eye(3).double().expand(len(states), 3, 3)
        return QPFunction(verbose=-1)(cost, -wish, -A[:, None], -b[:, None], none, none)

    def exact(self, state: np.ndarray) -> np.ndarray:
        """The control nearest the wish that meets the one row, in closed form."""
        with torch.no_grad():
            parts = self.rows(torch.from_numpy(state)[None])
        wish, A, b = (part[0].numpy() for part in parts)
        return wish + A * max(0.0, float(b - A @ wish)) / (A @ A)

    def drive(self) -> float:
        """Smallest b on the way from the published start."""
        state, least = self.scene.starts[0], np.inf
        for _ in range(self.scene.outside.shape[1]):
            least = min(least, float(np.sum((state[:3] - CENTRE) ** 4) - HALF_WIDTH**4))
            position, velocity, push = state[:3], state[3:], self.exact(state)
            moved = position + velocity * DT + push * DT**2 / 2
            state = np.concatenate([moved, velocity + push * DT])
        return least
