"""An airframe as a one-link URDF: what PyBullet loads, collides and draws."""

from __future__ import annotations

import math

from sim.airframe import Airframe

BODY_COLOUR = (0.16, 0.18, 0.22, 1.0)
FRONT_COLOUR = (0.80, 0.36, 0.28, 1.0)
BACK_COLOUR = (0.55, 0.60, 0.66, 1.0)


def urdf_of(airframe: Airframe, mass_scale: float = 1.0, visual: bool = False) -> str:
    """The airframe as URDF text: one link, one collision sphere.

    Args:
        airframe: the quadrotor.
        mass_scale: true mass and inertia over the airframe's.
        visual: also arms and rotor discs to look at; rotors in front have a colour of their own.
    """
    ixx, iyy, izz = (repr(mass_scale * moment) for moment in airframe.inertia)
    return "\n".join(
        [
            '<?xml version="1.0"?>',
            f'<robot name="{_escaped(airframe.name)}">',
            '<link name="base">',
            f'<inertial><mass value="{mass_scale * airframe.mass!r}"/>',
            f'<inertia ixx="{ixx}" iyy="{iyy}" izz="{izz}" ixy="0" ixz="0" iyz="0"/></inertial>',
            f'<collision><geometry><sphere radius="{airframe.collision_radius!r}"/></geometry>',
            "</collision>",
            *(_visuals(airframe) if visual else ()),
            "</link>",
            "</robot>",
        ]
    )


def _visuals(airframe: Airframe) -> list[str]:
    """A hub, and for each rotor an arm and a disc."""
    reach = max(math.hypot(x, y) for x, y in airframe.rotor_positions)
    hub = f'<box size="{0.6 * reach:g} {0.45 * reach:g} {0.3 * reach:g}"/>'
    parts = [_visual(hub, (0.0, 0.0, 0.0), 0.0, "body", BODY_COLOUR)]
    for x, y in airframe.rotor_positions:
        length, angle = math.hypot(x, y), math.atan2(y, x)
        arm = f'<box size="{length:g} {0.14 * reach:g} {0.1 * reach:g}"/>'
        parts.append(_visual(arm, (x / 2, y / 2, 0.0), angle, "body", BODY_COLOUR))
        disc = f'<cylinder radius="{0.6 * reach:g}" length="{0.06 * reach:g}"/>'
        name, colour = ("front", FRONT_COLOUR) if x > 0 else ("back", BACK_COLOUR)
        parts.append(_visual(disc, (x, y, 0.2 * reach), 0.0, name, colour))
    return parts


def _visual(
    geometry: str,
    origin: tuple[float, float, float],
    yaw: float,
    material: str,
    colour: tuple[float, float, float, float],
) -> str:
    place = " ".join(f"{value:g}" for value in origin)
    rgba = " ".join(f"{value:g}" for value in colour)
    return (
        f'<visual><origin xyz="{place}" rpy="0 0 {yaw:g}"/><geometry>{geometry}</geometry>'
        f'<material name="{material}"><color rgba="{rgba}"/></material></visual>'
    )


def _escaped(text: str) -> str:
    """Text as an XML attribute."""
    for raw, safe in (("&", "&amp;"), ("<", "&lt;"), ('"', "&quot;")):
        text = text.replace(raw, safe)
    return text
