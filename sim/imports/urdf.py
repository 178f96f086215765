"""URDF: links with collision geometry, joined by fixed joints."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from sim.fields import WorldError
from sim.imports import xml
from sim.imports.geometry import solid_of
from sim.imports.solids import ORIGIN, Pose, Tilted
from sim.shapes import Obstacle


def obstacles_of_urdf(text: str, tilted: Tilted = "refuse") -> list[Obstacle]:
    """What collides of a robot that stands still with its root link at the origin.

    Args:
        text: of the file.
        tilted: what becomes of boxes and cylinders at a slant; see `sim.imports.solids`.

    Raises:
        WorldError: naming the element that is not right: a mesh or another geometry than boxes,
            cylinders and balls, a joint that is not fixed, a joint without its links, a loop. A
            plane is left out where it is the ground z = 0.
    """
    robot = xml.parse(text, "robot")
    links = _links(robot)
    poses = _poses(robot, links)
    solids: list[Obstacle] = []
    for name, link in links.items():
        for i, collision in enumerate(link.findall("collision")):
            field = xml.label(f"link[{name:.60}]", collision, i)
            pose = poses[name].over(_origin(collision, field))
            solids += solid_of(collision, pose, tilted, field, Element.get)
    return solids


def _links(robot: Element) -> dict[str, Element]:
    links: dict[str, Element] = {}
    for i, link in enumerate(robot.findall("link")):
        name = link.get("name")
        if not name or name in links:
            raise WorldError(f"link[{i}].name", "a name of its own", name)
        links[name] = link
    return links


def _poses(robot: Element, links: dict[str, Element]) -> dict[str, Pose]:
    """Where each link is."""
    joints: dict[str, tuple[str, Pose]] = {}
    for i, joint in enumerate(robot.findall("joint")):
        field = xml.label("", joint, i)
        if joint.get("type") != "fixed":
            raise WorldError(f"{field}.type", "fixed: nothing here moves", joint.get("type"))
        parent, child = (_end(joint, end, links, field) for end in ("parent", "child"))
        if child in joints:
            raise WorldError(f"{field}.child", "a link of one parent", child)
        joints[child] = (parent, _origin(joint, field))
    poses: dict[str, Pose] = {}
    for name in links:
        chain = [name]
        while chain[-1] in joints and chain[-1] not in poses:
            chain.append(joints[chain[-1]][0])
            if len(chain) > len(links):
                raise WorldError(f"link[{name:.60}]", "a tree of joints", "a loop")
        for link in reversed(chain):
            if link not in poses:
                above = joints.get(link)
                poses[link] = poses[above[0]].over(above[1]) if above else ORIGIN
    return poses


def _end(joint: Element, end: str, links: dict[str, Element], field: str) -> str:
    """The name of a joint's parent or child."""
    element = joint.find(end)
    name = None if element is None else element.get("link")
    if name is None or name not in links:
        raise WorldError(f"{field}.{end}", "a link of the file", name)
    return name


def _origin(element: Element, field: str) -> Pose:
    """The pose that an element has in its parent."""
    origin = element.find("origin")
    if origin is None:
        return ORIGIN
    parts = (xml.numbers(origin.get(key, "0 0 0"), 3, f"{field}.origin") for key in ("xyz", "rpy"))
    return Pose.of(*parts)
