"""Obstacles as seen from above and from the side, to scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lnn_nav.insight.svg import element
from sim.world import Box, Cylinder, Obstacle, Sphere

Attributes = Mapping[str, object]


@dataclass(frozen=True)
class View:
    """A world on paper: a plane of it, a scale and where its origin lies.

    Attributes:
        right: world vector that points right on the page.
        up: world vector that points up on the page.
        scale: units of the picture for a metre.
        origin: picture's x and y of the world's origin.
    """

    right: tuple[float, float, float]
    up: tuple[float, float, float]
    scale: float
    origin: tuple[float, float]

    def __call__(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 2"]:
        """World [m] to the picture's units."""
        plane = np.stack([points @ np.array(self.right), points @ np.array(self.up)], axis=-1)
        return np.array(self.origin) + plane * np.array([self.scale, -self.scale])

    @property
    def from_above(self) -> bool:
        """Whether the view looks down; else it looks along a level line."""
        return self.up[2] == 0


def silhouette(item: Obstacle, view: View, **attributes: object) -> str:
    """The outline of an obstacle: exact for every shape and both kinds of view."""
    x, y = view(np.array(item.center)).tolist()
    if isinstance(item, Sphere):
        return element("circle", cx=x, cy=y, r=item.radius * view.scale, **attributes)
    if isinstance(item, Cylinder):
        return _cylinder(item, view, x, y, attributes)
    return _box(item, view, x, y, attributes)


def _cylinder(item: Cylinder, view: View, x: float, y: float, attributes: Attributes) -> str:
    axis = np.eye(3)["xyz".index(item.axis)]
    across, upward = abs(axis @ np.array(view.right)), abs(axis @ np.array(view.up))
    if view.from_above and item.axis == "z":
        return element("circle", cx=x, cy=y, r=item.radius * view.scale, **attributes)
    # A level one seen at an angle ends in half ellipses: the discs, foreshortened.
    round_x = item.radius * math.sqrt(max(0.0, 1 - across**2))
    round_y = item.radius * math.sqrt(max(0.0, 1 - upward**2))
    half_x = across * item.height / 2 + round_x
    half_y = upward * item.height / 2 + round_y
    level = item.axis != "z" and not view.from_above
    ends = (round_x, round_y) if level else (0.0, 0.0)
    return _rectangle(view, (x, y), (half_x, half_y), attributes, ends)


def _box(item: Box, view: View, x: float, y: float, attributes: Attributes) -> str:
    cos, sin = math.cos(item.yaw), math.sin(item.yaw)
    own_x, own_y = np.array([cos, sin, 0.0]), np.array([-sin, cos, 0.0])
    half_x, half_y, half_z = item.half_extents
    if view.from_above:
        corners = [
            view(np.array(item.center) + a * half_x * own_x + b * half_y * own_y)
            for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))
        ]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
        return element("polygon", points=points, **attributes)
    right = np.array(view.right)
    wide = abs(own_x @ right) * half_x + abs(own_y @ right) * half_y
    return _rectangle(view, (x, y), (wide, half_z), attributes)


def _rectangle(
    view: View,
    centre: tuple[float, float],
    half: tuple[float, float],
    attributes: Attributes,
    ends: tuple[float, float] = (0.0, 0.0),
) -> str:
    """A rectangle of half sizes [m] around a place in the picture, its corners rounded [m]."""
    wide, high = half[0] * view.scale, half[1] * view.scale
    corners = {"rx": ends[0] * view.scale, "ry": ends[1] * view.scale} if ends[0] > 0 else {}
    place = {"x": centre[0] - wide, "y": centre[1] - high, "width": 2 * wide, "height": 2 * high}
    return element("rect", **place, **corners, **attributes)
