"""Worlds: obstacles, bounds and a task, as one immutable value; JSON in and out (version 1)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, no_type_check

import numpy as np

from sim import fields, world_file
from sim.fields import WorldError as WorldError
from sim.shapes import Box as Box
from sim.shapes import Cylinder as Cylinder
from sim.shapes import Obstacle as Obstacle
from sim.shapes import Sphere as Sphere
from sim.shapes import distances_of

FORMAT, VERSION = "lnn-nav/world", 1
COLLISION_RADIUS = 0.06
"""Radius of the sphere that stands for a drone in collisions [m]."""
MOST_OBSTACLES = 10_000
MOST_VIAS = 1_000

Vector: TypeAlias = tuple[float, float, float]
SHAPES: Mapping[str, type[Obstacle]] = {kind.SHAPE: kind for kind in (Cylinder, Sphere, Box)}

_KEYS = ("format", "version", "bounds", "obstacles", "start", "target", "target_radius")
_KEYS = (*_KEYS, "speed", "time_limit")


@no_type_check  # At run time only: __post_init__ makes its own, better errors.
@dataclass(frozen=True)
class World:
    """Where to fly, and among what. The ground z = 0 is solid in every world.

    Attributes:
        bounds: lower and upper corner of the space that must not be left [m].
        obstacles: solids, in any order; they may overlap.
        start_position: [m].
        start_yaw: [rad].
        target: [m].
        target_radius: the target is reached within this distance [m].
        via: points to pass within `target_radius`, in order [m].
        speed: set speed [m/s].
        time_limit: [s].
    """

    bounds: tuple[Vector, Vector]
    obstacles: tuple[Obstacle, ...]
    start_position: Vector
    start_yaw: float
    target: Vector
    target_radius: float
    via: tuple[Vector, ...]
    speed: float
    time_limit: float

    def __post_init__(self) -> None:
        """Make every number a float, and refuse what no flight can be flown in.

        Raises:
            WorldError: naming the field that is not right.
        """
        put = object.__setattr__
        put(self, "bounds", _bounds(self.bounds))
        put(self, "obstacles", _obstacles(self.obstacles))
        put(self, "start_position", fields.vector(self.start_position, "start.position"))
        put(self, "start_yaw", fields.number(self.start_yaw, "start.yaw"))
        put(self, "target", fields.vector(self.target, "target"))
        put(self, "via", _via(self.via))
        for name in ("target_radius", "speed", "time_limit"):
            put(self, name, fields.positive(getattr(self, name), name))
        self._require_within("start.position", self.start_position)
        self._require_within("target", self.target)
        for i, point in enumerate(self.via):
            self._require_within(f"via[{i}]", point)
        self._require_room_at_start()

    @property
    def length(self) -> float:
        """Straight from the start over every via to the target [m]."""
        points = (self.start_position, *self.via, self.target)
        return sum(map(math.dist, points[:-1], points[1:]))

    def to_json(self) -> str:
        """The world as a JSON text that `from_json` reads back equal; an obstacle a line."""
        lines = []
        for key, value in _to_data(self).items():
            if key == "obstacles" and isinstance(value, list) and value:
                items = ",\n".join(f"  {json.dumps(item)}" for item in value)
                lines.append(f' "{key}": [\n{items}]')
            else:
                lines.append(f' "{key}": {json.dumps(value)}')
        return "{\n" + ",\n".join(lines) + "}\n"

    @classmethod
    def from_json(cls, text: str) -> World:
        """Read a world.

        Args:
            text: JSON of format `lnn-nav/world`, version 1.

        Raises:
            WorldError: naming the field that is not right, and how.
        """
        return _from_data(world_file.parse(text))

    def _require_within(self, field: str, point: Vector) -> None:
        lower, upper = self.bounds
        if not all(lo <= p <= up for lo, p, up in zip(lower, point, upper, strict=True)):
            raise WorldError(field, f"a point inside bounds {lower} to {upper}", point)

    def _require_room_at_start(self) -> None:
        """The drone's sphere must touch neither an obstacle nor the ground before it flies."""
        point = np.array(self.start_position)
        room = f"at least {COLLISION_RADIUS} m from"
        if self.start_position[2] < COLLISION_RADIUS:
            raise WorldError("start.position", f"{room} the ground", self.start_position)
        near = np.flatnonzero(distances_of(self.obstacles, point) < COLLISION_RADIUS)
        if near.size:
            raise WorldError("start.position", f"{room} obstacles[{near[0]}]", self.start_position)


def load_world(path: str | os.PathLike[str]) -> World:
    """Read a world file.

    Raises:
        WorldError: naming the field that is not right, or `file` for the file itself.
    """
    return World.from_json(world_file.read(path))


def save_world(path: str | os.PathLike[str], world: World) -> None:
    """Write a world file, whole or not at all."""
    world_file.write(path, world.to_json())


def world_hash(world: World) -> str:
    """SHA-256 of the canonical JSON: every key, sorted, no spaces, shortest floats."""
    text = json.dumps(_to_data(world), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _to_data(world: World) -> dict[str, object]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "bounds": world.bounds,
        "obstacles": [{"shape": item.SHAPE, **vars(item)} for item in world.obstacles],
        "start": {"position": world.start_position, "yaw": world.start_yaw},
        "target": world.target,
        "target_radius": world.target_radius,
        "via": world.via,
        "speed": world.speed,
        "time_limit": world.time_limit,
    }


def _from_data(data: object) -> World:
    if not isinstance(data, dict):
        raise WorldError("world", "an object", data)
    # What it claims to be goes before what it holds: a later version has other keys.
    for key, wanted in (("format", FORMAT), ("version", VERSION)):
        if key not in data or type(data[key]) is not type(wanted) or data[key] != wanted:
            raise WorldError(key, repr(wanted), data.get(key, "nothing"))
    top = fields.keys(data, "", _KEYS, ("via",))
    start = fields.keys(top["start"], "start", ("position", "yaw"))
    items = fields.sequence(top["obstacles"], "obstacles")
    _require_few(items, "obstacles", MOST_OBSTACLES)
    return World(
        bounds=top["bounds"],
        obstacles=tuple(_obstacle(item, f"obstacles[{i}]") for i, item in enumerate(items)),
        start_position=start["position"],
        start_yaw=start["yaw"],
        target=top["target"],
        target_radius=top["target_radius"],
        via=top.get("via", ()),
        speed=top["speed"],
        time_limit=top["time_limit"],
    )


def _obstacle(data: object, field: str) -> Obstacle:
    if not isinstance(data, dict):
        raise WorldError(field, "an object", data)
    shape = data.get("shape", "nothing")
    kind = SHAPES.get(shape) if isinstance(shape, str) else None
    if kind is None:
        raise WorldError(f"{field}.shape", f"one of {', '.join(SHAPES)}", shape)
    names = [item.name for item in dataclasses.fields(kind)]
    required = [name for name in names if name not in kind.OPTIONAL]
    values = dict(fields.keys(data, field, ["shape", *required], kind.OPTIONAL))
    del values["shape"]
    try:
        return kind(**values)
    except WorldError as error:
        raise error.under(field) from None


def _bounds(value: object) -> tuple[Vector, Vector]:
    corners = fields.sequence(value, "bounds")
    if len(corners) != 2:
        raise WorldError("bounds", "a lower and an upper corner", value)
    lower, upper = (fields.vector(corner, f"bounds[{i}]") for i, corner in enumerate(corners))
    if not all(lo < up for lo, up in zip(lower, upper, strict=True)):
        raise WorldError("bounds", "every lower number below its upper one", value)
    return lower, upper


def _obstacles(value: object) -> tuple[Obstacle, ...]:
    items = fields.sequence(value, "obstacles")
    _require_few(items, "obstacles", MOST_OBSTACLES)
    result = []
    for i, item in enumerate(items):
        if not isinstance(item, Cylinder | Sphere | Box):
            raise WorldError(f"obstacles[{i}]", "a Cylinder, a Sphere or a Box", item)
        result.append(item)
    return tuple(result)


def _via(value: object) -> tuple[Vector, ...]:
    items = fields.sequence(value, "via")
    _require_few(items, "via", MOST_VIAS)
    return tuple(fields.vector(item, f"via[{i}]") for i, item in enumerate(items))


def _require_few(items: object, field: str, most: int) -> None:
    count = len(fields.sequence(items, field))
    if count > most:
        raise WorldError(field, f"at most {most:,} entries", f"{count:,} entries")
