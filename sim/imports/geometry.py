"""The geometry of a collision element: URDF has it in attributes, SDF in elements of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias
from xml.etree.ElementTree import Element

from sim.fields import WorldError
from sim.imports import xml
from sim.imports.solids import Pose, Tilted, box, cylinder, is_ground, sphere
from sim.shapes import Obstacle

Read: TypeAlias = Callable[[Element, str], str | None]
"""The text of a shape's number, by its name."""


def solid_of(
    collision: Element, pose: Pose, tilted: Tilted, field: str, read: Read
) -> list[Obstacle]:
    """The obstacle of a collision element; none where it is the ground z = 0.

    Args:
        collision: with one geometry.
        pose: of it in the world.
        tilted: what becomes of boxes and cylinders at a slant.
        field: path of the element, for errors.
        read: how the format writes numbers.

    Raises:
        WorldError: naming what is not right.
    """
    geometry = collision.find("geometry")
    shapes = [] if geometry is None else list(geometry)
    if len(shapes) != 1:
        raise WorldError(f"{field}.geometry", "one shape", len(shapes))
    shape, field = shapes[0], f"{field}.geometry.{shapes[0].tag:.40}"
    if shape.tag == "box":
        return [box(pose, xml.sizes(read(shape, "size"), f"{field}.size"), tilted, field)]
    if shape.tag == "sphere":
        return [sphere(pose, xml.size(read(shape, "radius"), f"{field}.radius"))]
    if shape.tag == "cylinder":
        radius = xml.size(read(shape, "radius"), f"{field}.radius")
        length = xml.size(read(shape, "length"), f"{field}.length")
        return [cylinder(pose, radius, length, tilted, field)]
    if shape.tag == "plane":
        normal = xml.numbers(read(shape, "normal") or "0 0 1", 3, f"{field}.normal")
        if is_ground(pose, normal):
            return []
    raise WorldError(field, "a box, a cylinder, a sphere, or the plane z = 0", f"<{shape.tag:.40}>")
