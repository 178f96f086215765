"""The report's colours."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

LINES = ("#2563c9", "#d9822b", "#1f9d73", "#a44bb8", "#c23b4b", "#5b6b7d")
"""Colours of lines that share a plot."""

WISH = "#9aa5b1"
INTERVENTION = "#f59f3a"
FALLBACK = "#d3304a"

EXCITES, INHIBITS = LINES[:2]
"""Synapses: blue and orange look different to every eye."""

SPEED = ("#3b2a7a", "#2f5fb3", "#1fa0a6", "#63c46b", "#f2d23c")
"""Slow to fast."""

ACTIVITY = ("#14507d", "#5ca4cf", "#f6f7f8", "#f0a35e", "#a8441b")
"""Negative, resting, positive."""

RANGES = ("#4a1034", "#b53a4a", "#f1955b", "#fbe3b0", "#eef3f6")
"""Near to far."""


def ramp(anchors: tuple[str, ...], shares: Float[np.ndarray, "*n"]) -> UInt8[np.ndarray, "*n 3"]:
    """Colours between the anchors.

    Args:
        anchors: colours as `#rrggbb`, evenly spread over 0 to 1.
        shares: where between them; clipped to 0..1, and the middle where not a number.
    """
    table = np.array([[int(text[i : i + 2], 16) for i in (1, 3, 5)] for text in anchors], float)
    places = np.clip(np.nan_to_num(np.asarray(shares, float), nan=0.5), 0, 1) * (len(anchors) - 1)
    low = np.minimum(places.astype(int), len(anchors) - 2)
    share = (places - low)[..., None]
    return np.round(table[low] * (1 - share) + table[low + 1] * share).astype(np.uint8)


def hexadecimal(colour: UInt8[np.ndarray, " 3"]) -> str:
    """A colour as `#rrggbb`."""
    return "#" + "".join(f"{int(part):02x}" for part in colour)
