"""The camera is the pinhole that our own depth pattern is: on flat faces to a millimetre."""

from __future__ import annotations

from functools import cache

import jax
import numpy as np
import pytest
from scene_samples import world_of

from sim.airframe import CF2X
from sim.bullet import pybullet
from sim.camera import Stage
from sim.engine import EngineError
from sim.scene import scene_of
from sim.sensors import CALM, depth_pattern, look, renderers
from sim.sensors import camera as module
from sim.sensors.camera import Camera, CameraRig, photograph
from sim.sensors.renderers import CameraError, egl_works, load_egl, renderer_of
from sim.shapes import distances_of
from sim.state import State, at_rest, normalise, rotate
from sim.world import Box, Cylinder, Sphere

WORLD = world_of(
    [
        Box((5.0, 1.0, 2.0), (0.4, 0.8, 0.9), 0.5),
        Box((4.0, -1.5, 1.0), (0.5, 0.5, 1.0), -0.3),
        Box((9.0, 0.0, 2.0), (0.3, 6.0, 2.0)),
        Cylinder((3.5, 0.2, 1.5), 0.3, 3.0),
        Sphere((3.0, 1.2, 1.6), 0.4),
    ]
)
FLAT, ROUND, GROUND = (0, 1, 2), (3, 4), 5
TILTED = State(
    np.array([0.0, -0.2, 1.5]),
    np.zeros(3),
    normalise(np.array([0.17, 0.06, 0.04, 1.0])),
    np.zeros(3),
)
CAMERA = Camera(80, 60, 70.0, renderer="tiny")


@cache
def seen(fov: float, width: int = 80, height: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Our own depth, and in which solid's interior each pixel lies; -1 beside an edge."""
    fan = depth_pattern(width, height, fov, CAMERA.far)
    sight = jax.jit(look, static_argnums=(0, 3))(
        fan, scene_of(WORLD, dtype=np.float64), TILTED.as_jax(), CALM, None
    )
    ranges = np.asarray(sight.ranges)
    ends = TILTED.position + ranges[:, None] * rotate(TILTED.quaternion, fan.directions)
    gaps = np.concatenate([distances_of(WORLD.obstacles, ends), ends[:, 2:]], axis=1)
    solid = np.where(ranges < 15, np.abs(gaps).argmin(axis=1), -1).reshape(height, width)
    inner = np.zeros(solid.shape, bool)
    inner[1:-1, 1:-1] = True
    for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        inner &= np.roll(solid, shift, (0, 1)) == solid
    # PyBullet draws the ground as a slab that ends 2 m outside of the bounds.
    low, high = np.array(WORLD.bounds)[:, :2]
    on_slab = ((ends[:, :2] > low - 1.5) & (ends[:, :2] < high + 1.5)).all(axis=1)
    return fan.picture(fan.axial(ranges)), np.where(inner & on_slab.reshape(solid.shape), solid, -1)


def errors(picture, fov: float = 70.0) -> dict[str, np.ndarray]:
    """How far a picture's depth is from ours, by the kind of solid [m]."""
    depth, solid = seen(fov)
    error = np.abs(picture.depth - depth)
    kinds = {"flat": FLAT, "round": ROUND, "ground": (GROUND,)}
    return {kind: error[np.isin(solid, indices)] for kind, indices in kinds.items()}


@pytest.fixture(scope="module")
def tiny():
    with CameraRig(CAMERA, WORLD) as rig:
        yield rig


def test_depth_is_that_of_our_rays(tiny):
    """Within 1 mm on flat faces; PyBullet's mesh of what is round is up to 5 cm off."""
    found = errors(tiny.look(TILTED))
    assert all(error.size > 100 for error in found.values())
    assert found["flat"].max() < 1e-3 and found["ground"].max() < 1e-3
    assert found["round"].max() < 0.05


def test_the_bound_sees_a_wrong_camera(tiny, monkeypatch):
    """A field of view 1 degree off, no roll, half a pixel, pixels that are not square: all fail."""
    assert np.median(errors(tiny.look(TILTED), fov=71.0)["flat"]) > 1e-3
    level = State(TILTED.position, TILTED.velocity, at_rest(np.zeros(3)).quaternion, np.zeros(3))
    assert np.median(errors(tiny.look(level))["flat"]) > 0.05
    stretched = pybullet.computeProjectionMatrixFOV(70.0, 1.0, CAMERA.near, CAMERA.far)
    monkeypatch.setattr(module, "_projection", lambda camera, renderer: stretched)
    assert np.median(errors(tiny.look(TILTED))["flat"]) > 0.02
    monkeypatch.undo()
    plain = module._projection(CAMERA, "egl")
    monkeypatch.setattr(module, "_projection", lambda camera, renderer: plain)
    assert np.median(errors(tiny.look(TILTED))["flat"]) > 2e-3


def test_nothing_is_far_and_colours_are_those_of_the_shapes(tiny):
    picture = tiny.look(at_rest(np.array([0.0, -0.2, 1.5])))
    assert picture.rgb.shape == (60, 80, 3) and picture.rgb.dtype == np.uint8
    assert picture.depth.shape == (60, 80) and picture.depth.dtype == np.float32
    assert (picture.depth > 0).all() and picture.depth.max() == np.float32(CAMERA.far)
    box, ground = picture.rgb[28, 47].astype(int), picture.rgb[57, 40].astype(int)
    assert np.abs(box - ground).max() > 20
    # Up in the picture is the body's z: the sky is above until the drone is upside down.
    over = State(*vars(at_rest(np.array([0.0, -0.2, 1.5]))).values())
    upside_down = State(over.position, over.velocity, np.array([1.0, 0, 0, 0]), over.velocity)
    assert picture.depth[0].mean() > picture.depth[-1].mean()
    turned = tiny.look(upside_down).depth
    # Half a turn about the optical axis.
    near = picture.depth < 15
    assert np.median(np.abs(turned[::-1, ::-1] - picture.depth)[near]) < 1e-4


def test_a_mount_moves_the_eye(tiny):
    front = Camera(80, 60, 70.0, mount=(0.5, 0.0, 0.1), renderer="tiny")
    state = at_rest(np.array([0.0, -0.2, 1.5]))
    moved = at_rest(np.array([0.5, -0.2, 1.6]))
    mounted = photograph(front, tiny.client, state)
    np.testing.assert_array_equal(mounted.depth, photograph(CAMERA, tiny.client, moved).depth)


def test_the_drone_does_not_see_itself():
    """In a stage that holds the drone's own body, nothing is nearer than the obstacles."""
    with Stage(CF2X, WORLD) as stage:
        stage.show(TILTED)
        picture = photograph(CAMERA, stage.client, TILTED)
        assert picture.depth.min() > 0.5
        close = photograph(Camera(80, 60, 70.0, near=0.005, renderer="tiny"), stage.client, TILTED)
        assert close.depth.min() < 0.1


def test_egl_draws_the_same_where_there_is_one(tiny, capfd):
    if not egl_works():
        pytest.skip("PyBullet's EGL plugin does not work here")
    with CameraRig(Camera(80, 60, 70.0, renderer="egl"), WORLD) as rig:
        assert rig.renderer == "egl"
        picture = rig.look(TILTED)
    found = errors(picture)
    # OpenGL places corners on a grid finer than a pixel, but not by much.
    assert np.median(found["flat"]) < 3e-3 and found["flat"].max() < 0.03
    assert found["round"].max() < 0.05
    assert np.abs(picture.rgb.astype(float).mean() - tiny.look(TILTED).rgb.mean()) < 60
    assert capfd.readouterr().out == ""


def test_what_no_renderer_can_do_is_refused(monkeypatch):
    monkeypatch.setattr(renderers, "egl_works", lambda: False)
    assert renderer_of("auto") == renderer_of("tiny") == "tiny"
    with pytest.raises(CameraError, match="renderer: expected PyBullet's EGL plugin"):
        CameraRig(Camera(renderer="egl"), WORLD)
    monkeypatch.setattr(renderers, "egl_works", lambda: True)
    monkeypatch.setattr(renderers, "_graphics_card", lambda: False)
    assert renderer_of("auto") == "tiny" and renderer_of("egl") == "egl"
    monkeypatch.setattr(renderers, "_graphics_card", lambda: True)
    assert renderer_of("auto") == "egl"
    monkeypatch.undo()
    monkeypatch.setattr(renderers, "_plugin", lambda: None)
    with pytest.raises(CameraError, match="renderer: expected PyBullet's EGL plugin to load"):
        load_egl(0)
    assert not egl_works.__wrapped__()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, "width: expected at least 1 pixel, got 0"),
        ({"height": -3}, "height: expected at least 1 pixel"),
        ({"fov": 0.0}, "fov: expected an angle between 0 and 180"),
        ({"near": 0.0}, "near, far: expected 0 < near < far"),
        ({"near": 2.0, "far": 1.0}, "near, far: expected"),
        ({"far": float("inf")}, "near, far: expected"),
        ({"mount": (0.0, float("nan"), 0.0)}, "mount: expected 3 finite numbers"),
    ],
)
def test_impossible_cameras_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Camera(**fields)


def test_a_closed_rig_says_so():
    rig = CameraRig(CAMERA, WORLD)
    rig.close()
    rig.close()
    with pytest.raises(EngineError, match="physics server"):
        rig.look(TILTED)
