"""SDF: models of links with collision geometry, each with a pose in what it is part of."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from sim.fields import WorldError
from sim.imports import xml
from sim.imports.geometry import solid_of
from sim.imports.solids import ORIGIN, Pose, Tilted
from sim.shapes import Obstacle


def obstacles_of_sdf(text: str, tilted: Tilted = "refuse") -> list[Obstacle]:
    """What collides of all models, static or not: here all of it stands still.

    Poses are nested as the format says. (PyBullet leaves out that of a model's first link.)

    Args:
        text: of the file.
        tilted: what becomes of boxes and cylinders at a slant; see `sim.imports.solids`.

    Raises:
        WorldError: naming the element that is not right: a mesh or another geometry than boxes,
            cylinders and balls, a file to include, a pose in a named frame. A plane is left out
            where it is the ground z = 0.
    """
    root = xml.parse(text, "sdf")
    solids: list[Obstacle] = []
    for parent in (root, *root.findall("world")):
        solids += _parts(parent, ORIGIN, tilted, "")
    return solids


_INNER = {"model": ("model", "link"), "link": ("collision",)}
"""What is looked for inside an element."""


def _parts(parent: Element, pose: Pose, tilted: Tilted, field: str) -> list[Obstacle]:
    """The solids of what an element holds."""
    if parent.find("include") is not None:
        raise WorldError(
            f"{field}.include".lstrip("."), "nothing but what the file holds", "a link"
        )
    solids: list[Obstacle] = []
    for tag in _INNER.get(parent.tag, ("model",)):
        for i, part in enumerate(parent.findall(tag)):
            own = xml.label(field, part, i)
            place = pose.over(_pose(part, own))
            if tag == "collision":
                solids += solid_of(part, place, tilted, own, Element.findtext)
            else:
                _require_flag(part.find("static"), f"{own}.static")
                solids += _parts(part, place, tilted, own)
    return solids


def _require_flag(static: Element | None, field: str) -> None:
    if static is not None and (static.text or "").strip() not in ("0", "1", "true", "false"):
        raise WorldError(field, "true or false", static.text)


def _pose(element: Element, field: str) -> Pose:
    """The pose that an element has in its parent."""
    pose = element.find("pose")
    if pose is None:
        return ORIGIN
    for key in ("frame", "relative_to"):
        if pose.get(key):
            raise WorldError(f"{field}.pose.{key}", "none: poses are in the parent", pose.get(key))
    values = xml.numbers(pose.text, 6, f"{field}.pose")
    return Pose.of(values[:3], values[3:])
