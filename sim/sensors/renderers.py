"""What a camera may be drawn by on this machine: TinyRenderer, or OpenGL by way of EGL.

Like `sim.sensors.camera`, this module needs PyBullet, by way of `sim.bullet`.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from sim.bullet import pybullet
from sim.quiet import unheard

RendererName: TypeAlias = Literal["auto", "tiny", "egl"]
PLUGIN, ENTRY = "eglRenderer", "_eglRendererPlugin"
_PROBE = (
    "import sys, pybullet as p; c = p.connect(p.DIRECT); "
    f"ok = p.loadPlugin(sys.argv[1], {ENTRY!r}, physicsClientId=c) >= 0; "
    "ok and p.getCameraImage(4, 4, renderer=p.ER_BULLET_HARDWARE_OPENGL); sys.exit(0 if ok else 3)"
)


class CameraError(ValueError):
    """A camera cannot be had as asked for; the message names the field."""


def renderer_of(name: RendererName) -> Literal["tiny", "egl"]:
    """The renderer that a name means on this machine.

    Raises:
        CameraError: for `egl` where that does not work.
    """
    if name == "tiny" or (name == "auto" and not (_graphics_card() and egl_works())):
        return "tiny"
    if not egl_works():
        raise CameraError(
            "renderer: expected PyBullet's EGL plugin and an OpenGL driver for 'egl', got neither "
            "or one that fails; 'tiny' works everywhere"
        )
    return "egl"


@cache
def egl_works() -> bool:
    """Whether PyBullet's EGL plugin can draw here; asked once, in a process that it may end."""
    path = _plugin()
    if path is None:
        return False
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE, path], capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


def load_egl(client: int) -> None:
    """Let an empty physics server draw with OpenGL; what is in it already would not be drawn.

    Raises:
        CameraError: the plugin is not there, or does not load.
    """
    path = _plugin()
    with unheard():
        loaded = pybullet.loadPlugin(path, ENTRY, physicsClientId=client) if path else -1
    if loaded < 0:
        raise CameraError(f"renderer: expected PyBullet's EGL plugin to load, got {path}")


def _plugin() -> str | None:
    """Path of the plugin that comes with PyBullet."""
    found = importlib.util.find_spec(PLUGIN)
    return None if found is None else found.origin


def _graphics_card() -> bool:
    """Whether there is a device that OpenGL could draw on."""
    return any(Path("/dev/dri").glob("renderD*")) or Path("/dev/nvidiactl").exists()
