"""`ncps.torch`, as its users call it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cell_peers.peer import Peer

if TYPE_CHECKING:
    import torch


def peers(inputs: np.ndarray) -> list[Peer]:
    """The CfC of 64 neurons, and a wired CfC and LTC.

    Args:
        inputs: `[B, T, i]`, float32.

    Raises:
        ImportError: torch or ncps is not installed.
    """
    import torch
    from ncps.torch import LTC, CfC
    from ncps.wirings import AutoNCP

    torch.set_num_threads(1)
    torch.manual_seed(0)
    size = inputs.shape[-1]
    nets = {
        "CfC 64": CfC(size, 64),
        "CfC AutoNCP(32, 4)": CfC(size, AutoNCP(32, 4)),
        "LTC AutoNCP(32, 4)": LTC(size, AutoNCP(32, 4)),
    }
    return [_peer(name, net, torch.as_tensor(inputs)) for name, net in nets.items()]


def _peer(name: str, net: torch.nn.Module, inputs: torch.Tensor) -> Peer:
    import torch

    first, memory = inputs[:1, 0], torch.zeros(1, net.state_size)

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return net(inputs)[0]

    def forward_backward() -> object:
        net.zero_grad()
        net(inputs)[0].square().sum().backward()
        return net

    def step() -> object:
        with torch.no_grad():
            return net.rnn_cell(first, memory, 1.0)

    weights = {key: value.numpy() for key, value in net.state_dict().items()}
    return Peer(
        *("ncps.torch", name, forward, forward_backward, step),
        shown=lambda: forward().numpy(),
        weights=weights,
    )
