"""Scenes of PyBullet's kind: what PyBullet loads from a file is what we make of it."""

from __future__ import annotations

import math
import os

import numpy as np
import pybullet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import Box, Cylinder, Sphere, WorldError
from sim.bullet import connect
from sim.imports import load_obstacles, obstacles_of_sdf, obstacles_of_urdf
from sim.imports.solids import Pose, box, cylinder
from sim.shapes import Boxes, Cylinders, Spheres, distances_of

SDF = """<?xml version="1.0"?>
<sdf version="1.6"><world name="yard">
 <model name="ground"><static>1</static><link name="g"><collision name="c"><geometry>
   <plane><normal>0 0 1</normal><size>9 9</size></plane></geometry></collision></link></model>
 <model name="shed"><static>true</static><pose>2 1 0.5 0 0 0.7</pose>
  <link name="a">
   <collision name="wall"><pose>0.5 0 0.2 0 0 -0.2</pose><geometry>
     <box><size>0.6 1.2 0.8</size></box></geometry></collision></link></model>
 <model name="drum"><static>0</static><pose>-2 1 1 0 1.5707963267948966 0</pose>
  <link name="b"><collision name="side"><geometry>
     <cylinder><radius>0.4</radius><length>1.6</length></cylinder></geometry></collision></link>
 </model>
 <!-- a ball -->
 <model name="ball"><static>1</static><pose>0 -2 1.2 0.3 0.2 0.1</pose>
  <link name="c"><collision name="c"><geometry><sphere><radius>0.5</radius></sphere></geometry>
  </collision></link></model>
</world></sdf>"""

URDF = """<?xml version="1.0"?>
<robot name="yard">
 <link name="base"/>
 <link name="shed"><collision><origin xyz="0.5 0 0.2" rpy="0 0 -0.2"/><geometry>
   <box size="0.6 1.2 0.8"/></geometry></collision>
  <collision><origin xyz="-0.5 0.4 0.3" rpy="1.5707963267948966 0 0"/><geometry>
   <box size="0.3 0.5 0.9"/></geometry></collision></link>
 <joint name="j1" type="fixed"><parent link="base"/><child link="shed"/>
  <origin xyz="2 1 0.5" rpy="0 0 0.7"/></joint>
 <link name="drum"><collision><geometry><cylinder radius="0.4" length="1.6"/></geometry>
  </collision></link>
 <joint name="j2" type="fixed"><parent link="shed"/><child link="drum"/>
  <origin xyz="-3 -2 0.5" rpy="0 1.5707963267948966 -0.7"/></joint>
 <link name="ball"><collision><origin xyz="0.1 0.2 0.3"/><geometry><sphere radius="0.5"/></geometry>
  </collision></link>
 <joint name="j3" type="fixed"><parent link="drum"/><child link="ball"/>
  <origin xyz="-0.2 1.5 1" rpy="0.3 0.2 0.1"/></joint>
</robot>"""


def hits(text: str, suffix: str, folder, starts, ends) -> np.ndarray:
    """Where PyBullet's rays meet what PyBullet loads; 1 where nothing is."""
    path, client = folder / f"scene{suffix}", connect()
    path.write_text(text)
    try:
        if suffix == ".sdf":
            pybullet.loadSDF(str(path), physicsClientId=client)
        else:
            pybullet.loadURDF(str(path), useFixedBase=True, physicsClientId=client)
        # Rays ask the broad phase first, which has not seen yet where bodies were put.
        pybullet.performCollisionDetection(physicsClientId=client)
        found = pybullet.rayTestBatch(starts.tolist(), ends.tolist(), physicsClientId=client)
        return np.array([hit[2] for hit in found])
    finally:
        pybullet.disconnect(client)


def ours(obstacles, starts, ends) -> np.ndarray:
    fractions = np.ones(len(starts))
    for kind in (Cylinders, Spheres, Boxes):
        packed = kind.pack(obstacles)
        for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
            length = np.linalg.norm(end - start)
            entries = packed.entries(start, ((end - start) / length)[None])
            fractions[i] = min(fractions[i], entries.min(initial=np.inf) / length)
    return fractions


def rays(obstacles, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """From outside of everything, above the ground."""
    rng = np.random.default_rng(seed)
    starts, ends = rng.uniform([-4, -4, 0.1], [4, 4, 3], (2, 800, 3))
    outside = distances_of(obstacles, starts).min(axis=1) > 0.05
    ends[:, 2] = np.maximum(ends[:, 2], 0.1)
    return starts[outside], ends[outside]


@pytest.mark.parametrize(
    ("text", "suffix", "count"), [(SDF, ".sdf", 3), (URDF, ".urdf", 4)], ids=["sdf", "urdf"]
)
def test_rays_meet_what_pybullet_loads_from_the_same_file(text, suffix, count, tmp_path):
    path = tmp_path / f"mine{suffix}"
    path.write_text(text)
    obstacles = load_obstacles(path)
    assert len(obstacles) == count
    starts, ends = rays(obstacles, 0)
    theirs, mine = hits(text, suffix, tmp_path, starts, ends), ours(obstacles, starts, ends)
    lengths = np.linalg.norm(ends - starts, axis=1)
    both = (theirs < 1) & (mine < 1)
    # Rays that graze are another matter: PyBullet's solids are about 1e-3 m off.
    assert ((theirs < 1) == (mine < 1)).mean() > 0.99 and 60 < both.sum()
    off = np.abs(theirs - mine)[both] * lengths[both]
    assert np.median(off) < 1e-3 and np.quantile(off, 0.95) < 4e-3
    moved = [type(one)(**{**vars(one), "center": (*one.center[:2], 9.0)}) for one in obstacles[:1]]
    other = ours([*moved, *obstacles[1:]], starts, ends)
    assert ((theirs < 1) == (other < 1)).mean() < 0.99


def test_closest_distances_are_pybullets(tmp_path):
    path, client = tmp_path / "scene.urdf", connect()
    path.write_text(URDF)
    obstacles = obstacles_of_urdf(URDF)
    try:
        body = pybullet.loadURDF(str(path), useFixedBase=True, physicsClientId=client)
        ball = pybullet.createCollisionShape(
            pybullet.GEOM_SPHERE, radius=0.1, physicsClientId=client
        )
        probe = pybullet.createMultiBody(0, ball, physicsClientId=client)
        for point in np.random.default_rng(1).uniform([-3, -3, 0.3], [3, 3, 3], (60, 3)):
            exact = distances_of(obstacles, point).min()
            if exact < 0.2:
                continue
            pybullet.resetBasePositionAndOrientation(
                probe, point, (0, 0, 0, 1), physicsClientId=client
            )
            found = pybullet.getClosestPoints(probe, body, 9.0, physicsClientId=client)
            assert min(pair[8] for pair in found) == pytest.approx(exact - 0.1, abs=2e-3)
    finally:
        pybullet.disconnect(client)


def test_solids_are_those_that_are_written():
    shed, drum, ball = obstacles_of_sdf(SDF)
    assert isinstance(shed, Box) and shed.yaw == pytest.approx(0.5)
    assert shed.half_extents == (0.3, 0.6, 0.4) and shed.center[2] == pytest.approx(0.7)
    assert isinstance(drum, Cylinder) and drum.axis == "x" and drum.height == 1.6
    assert ball == Sphere((0.0, -2.0, 1.2), 0.5)
    lying = obstacles_of_urdf(URDF)[1]  # A quarter turn about x: y and z change places.
    assert lying.half_extents == (0.15, 0.45, 0.25)


def test_the_pose_of_a_link_counts_as_the_format_says():
    """It is one more frame between model and collision; PyBullet leaves it out for a first link."""
    inner = "<collision><pose>0.5 0 0.2 0 0 -0.2</pose><geometry>{}</geometry></collision>"
    model = "<model><pose>2 1 0.5 0 0 0.7</pose>{}</model>"
    link = f"<link><pose>0.2 -0.3 0.1 0 0 0.4</pose>{inner.format(BOX)}</link>"
    nested = f"<model><pose>0.2 -0.3 0.1 0 0 0.4</pose><link>{inner.format(BOX)}</link></model>"
    (found,) = obstacles_of_sdf(f"<sdf>{model.format(link)}</sdf>")
    assert obstacles_of_sdf(f"<sdf>{model.format(nested)}</sdf>") == [found]

    def turned(angle, x, y):
        return complex(math.cos(angle), math.sin(angle)) * complex(x, y)

    place = complex(2, 1) + turned(0.7, 0.2, -0.3) + turned(1.1, 0.5, 0.0)
    assert found.center == pytest.approx((place.real, place.imag, 0.8))
    assert found.yaw == pytest.approx(0.9)


def one(geometry: str, pose: str = "0 0 0 0 0 0") -> str:
    return (
        f'<sdf><model name="m"><link name="l"><collision name="c"><pose>{pose}</pose>'
        f"<geometry>{geometry}</geometry></collision></link></model></sdf>"
    )


BOX = "<box><size>1 2 3</size></box>"
CYLINDER = "<cylinder><radius>0.5</radius><length>2</length></cylinder>"
PATH = r"model\[m\]\.link\[l\]\.collision\[c\]"
BAD_SDF = [
    (
        one("<mesh><uri>a.obj</uri></mesh>"),
        rf"{PATH}\.geometry\.mesh: expected a box, .* got '<mesh>'",
    ),
    (one("<plane><normal>0 1 0</normal></plane>"), rf"{PATH}\.geometry\.plane: expected"),
    (one("<plane><normal>0 0 1</normal></plane>", "0 0 1 0 0 0"), rf"{PATH}\.geometry\.plane"),
    (one(BOX, "0 0 0 0.3 0 0"), rf"{PATH}\.geometry\.box: expected a box with a vertical edge"),
    (one(CYLINDER, "0 0 0 0 0.3 0"), rf"{PATH}\.geometry\.cylinder: expected a cylinder along"),
    (one(BOX, "0 0 nan 0 0 0"), rf"{PATH}\.pose: expected a finite number"),
    (one(BOX, "0 0 1e999 0 0 0"), rf"{PATH}\.pose: expected a finite number"),
    (one(BOX, "0 0 0"), rf"{PATH}\.pose: expected 6 numbers"),
    (one(BOX.replace("3", "-3")), rf"{PATH}\.geometry\.box\.size: expected a number above 0"),
    (one(BOX.replace("3", "x")), rf"{PATH}\.geometry\.box\.size: expected 3 numbers"),
    (one("<box/>"), rf"{PATH}\.geometry\.box\.size: expected 3 numbers, got None"),
    (one(""), rf"{PATH}\.geometry: expected one shape, got 0"),
    (one(BOX + CYLINDER), rf"{PATH}\.geometry: expected one shape, got 2"),
    (one(BOX).replace("<pose>", '<pose frame="x">'), rf"{PATH}\.pose\.frame: expected none"),
    ("<sdf><world><include><uri>model://x</uri></include></world></sdf>", "include: expected"),
    ("<sdf><model><static>maybe</static></model></sdf>", r"model\[0\]\.static: expected true"),
    ("<robot/>", "file: expected <sdf> at the root, got '<robot>'"),
    ("<sdf>", "file: expected XML"),
    ("", "file: expected XML"),
    ("<sdf>\x00</sdf>", "file: expected XML"),
    ("<sdf>&unknown;</sdf>", "file: expected XML"),
]


@pytest.mark.parametrize(("text", "message"), BAD_SDF)
def test_bad_sdf_is_refused_by_the_name_of_its_element(text, message):
    with pytest.raises(WorldError, match=message) as caught:
        obstacles_of_sdf(text)
    assert len(str(caught.value)) < 300


JOINT = '<joint name="j" type="{}"><parent link="{}"/><child link="{}"/></joint>'
LINKS = '<robot name="r"><link name="a"/><link name="b"/>{}</robot>'
BAD_URDF = [
    (LINKS.format(JOINT.format("revolute", "a", "b")), r"joint\[j\]\.type: expected fixed"),
    (LINKS.format(JOINT.format("fixed", "a", "c")), r"joint\[j\]\.child: expected a link"),
    (LINKS.format('<joint type="fixed"/>'), r"joint\[0\]\.parent: expected a link"),
    (LINKS.format(2 * JOINT.format("fixed", "a", "b")), "child: expected a link of one parent"),
    (
        LINKS.format(JOINT.format("fixed", "a", "b") + JOINT.format("fixed", "b", "a")),
        r"link\[a\]: expected a tree of joints, got 'a loop'",
    ),
    (LINKS.format('<link name="a"/>'), r"link\[2\]\.name: expected a name of its own"),
    (
        LINKS.format(
            '<link name="d"><collision><geometry><mesh filename="a"/></geometry></collision></link>'
        ),
        r"link\[d\]\.collision\[0\]\.geometry\.mesh: expected a box",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD_URDF)
def test_bad_urdf_is_refused_by_the_name_of_its_element(text, message):
    with pytest.raises(WorldError, match=message):
        obstacles_of_urdf(text)


LAUGHS = "".join(f'<!ENTITY l{i} "{10 * f"&l{i - 1};"}">' for i in range(1, 12))
HOSTILE = [
    (f'<?xml version="1.0"?><!DOCTYPE sdf [<!ENTITY l0 "ha">{LAUGHS}]><sdf>&l11;</sdf>', "DOCTYPE"),
    ('<!DOCTYPE sdf [<!ENTITY x SYSTEM "file:///etc/passwd">]><sdf>&x;</sdf>', "DOCTYPE"),
    ('<!DOCTYPE sdf SYSTEM "http://example.org/a.dtd"><sdf/>', "DOCTYPE"),
    ("<sdf>" + "<a>" * 100_000, "nested at most 40 deep"),
    ("<sdf>" + "<a>" * 41 + "</a>" * 41 + "</sdf>", "nested at most 40 deep"),
    ("<sdf>" + "<a/>" * 10_000 + "</sdf>", "at most 10,000 elements"),
    (" " * 10_000_001, "at most 10,000,000 bytes"),
]


@pytest.mark.parametrize(("text", "message"), HOSTILE)
@pytest.mark.parametrize("read", [obstacles_of_sdf, obstacles_of_urdf])
def test_hostile_xml_is_refused(text, message, read, monkeypatch):
    monkeypatch.setattr("sim.imports.xml.MOST_ELEMENTS", 10_000)  # Fewer, for the time it takes.
    with pytest.raises(WorldError, match=f"file: expected .*{message}"):
        read(text)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    for name in ("a.sdf", "a.urdf", "a.npz"):
        with open(tmp_path / name, "wb") as file:
            file.truncate(1 << 40)  # Sparse: reading it would not fit in memory.
        with pytest.raises(WorldError, match="file: expected at most 10,000,000 bytes"):
            load_obstacles(tmp_path / name)
    os.mkfifo(tmp_path / "b.npz")
    for name in ("b.npz", "none.sdf", "none.npz", "a.obj"):
        with pytest.raises(WorldError, match="file: expected"):
            load_obstacles(tmp_path / name)


ANGLES = st.tuples(*[st.floats(-math.pi, math.pi)] * 3)


@settings(max_examples=60, deadline=None)
@given(ANGLES, st.tuples(*[st.floats(0.1, 2.0)] * 3))
def test_what_bounds_a_slanted_solid_holds_it_all(angles, size):
    pose, rng = Pose.of([1.0, -2.0, 3.0], list(angles)), np.random.default_rng(0)
    own = rng.uniform(-0.5, 0.5, (400, 3)) * size
    bound = box(pose, size, "bound", "it")
    assert distances_of([bound], own @ pose.turn.T + pose.place).max() <= 1e-9
    turn = rng.uniform(0, 2 * math.pi, 400)
    round_ = np.stack([size[0] * np.cos(turn), size[0] * np.sin(turn), own[:, 2]], axis=-1)
    bound = cylinder(pose, size[0], size[2], "bound", "it")
    assert distances_of([bound], round_ @ pose.turn.T + pose.place).max() <= 1e-9


def test_bounds_are_tight_and_only_made_when_asked_for():
    (bound,) = obstacles_of_sdf(one(CYLINDER, "0 0 0 0 0.5 0"), "bound")
    reach = 0.5 * math.cos(0.5) + 1.0 * math.sin(0.5)
    assert bound.half_extents == pytest.approx((reach, 0.5, 0.5 * math.sin(0.5) + math.cos(0.5)))
