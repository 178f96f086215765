"""What the barrier knows: points where the rays hit, balls around them, and nothing forgotten."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pilot_rig import room
from test_backup_rows import exact_distance

from barriernet.backup import Braking, Motion
from lnn_nav.design import Design
from lnn_nav.scan import NOTHING, ScanShape, blank_scan, finite, nearest, remember
from sim import Box, Cylinder, Sphere, mission_of, signed_distance
from sim.sensors import CALM, RayPattern, Sight, look
from sim.state import State, at_rest

SHAPE = Design().scan
COUNT = SHAPE.pattern.count
REACH = SHAPE.pattern.max_range
DT = 1 / 24
BRAKING = Braking(3.5, 0.06, 1 / 240, 0.03)
remember_it = jax.jit(remember, static_argnums=0)
nearest_of = jax.jit(nearest, static_argnums=(0, 2))


def sight_at(
    position: tuple[float, float, float] = (0.0, 0.0, 1.5),
    ranges: float | np.ndarray = REACH,
    valid: bool | np.ndarray = True,
) -> Sight:
    state = at_rest(np.array(position), 0.0).as_jax(jnp.float32)
    return Sight(
        state,
        jnp.broadcast_to(jnp.asarray(ranges, jnp.float32), (COUNT,)),
        jnp.broadcast_to(jnp.asarray(valid), (COUNT,)),
    )


def scanned(*sights: Sight, shape: ScanShape = SHAPE):
    scan = blank_scan(shape, jnp.asarray([0.0, 0.0, 1.5]))
    for sight in sights:
        scan = remember_it(shape, scan, sight, DT)
    return scan


def test_points_lie_on_what_the_rays_hit():
    world = room(
        Box((3, 0, 2), (0.5, 6, 2), 0.4), Sphere((-2, 1, 1), 0.5), Cylinder((0, 3, 2), 0.3, 4)
    )
    scene = mission_of(world, jnp.float32).scene
    draws = np.random.default_rng(0)
    quaternion = np.array([0, 0, 0, 1.0]) + 0.3 * draws.standard_normal(4)
    state = State(
        *(jnp.asarray(part, jnp.float32) for part in ([0.2, -0.1, 1.4], [1, 0, 0])),
        jnp.asarray(quaternion / np.linalg.norm(quaternion), jnp.float32),
        jnp.zeros(3, jnp.float32),
    )
    scan = scanned(look(SHAPE.pattern, scene, state, CALM, None))
    hit = np.asarray(scan.radii[0]) >= 0
    assert 50 < hit.sum()
    assert np.abs(signed_distance(scene, scan.points[0][hit])).max() < 1e-4


def gaps_uncovered(share: float) -> float:
    """Share of a sphere of hits around the drone that no ball covers."""
    shape = replace(SHAPE, gap_share=share)
    scan = scanned(sight_at(ranges=3.0), shape=shape)
    draws = np.random.default_rng(1)
    directions = draws.standard_normal((4_000, 3))
    surface = 3.0 * directions / np.linalg.norm(directions, axis=1, keepdims=True) + [0, 0, 1.5]
    points, radii = np.asarray(scan.points[0]), np.asarray(scan.radii[0])
    gaps = np.linalg.norm(surface[:, None] - points[None], axis=-1) - radii
    # The radius of a cell is found on directions that lie 0.018 rad apart.
    return float((gaps.min(axis=1) > 3.0 * 0.009).mean())


def test_balls_cover_the_gaps_between_rays():
    # With the whole cell of each ray, nothing that faces the drone is left open.
    assert gaps_uncovered(1.0) == 0
    # Smaller balls do leave holes: the check can fail.
    assert gaps_uncovered(0.4) > 0.05


def test_balls_grow_with_age_and_with_declared_noise():
    shape = replace(SHAPE, range_noise=0.02)
    fresh = scanned(sight_at(ranges=2.0), shape=shape)
    plain = scanned(sight_at(ranges=2.0))
    np.testing.assert_allclose(fresh.radii[0] - plain.radii[0], 2 * 0.02 * 2.0, rtol=1e-4)
    later = remember_it(SHAPE, plain, sight_at(), 0.5)
    np.testing.assert_allclose(later.radii[0] - plain.radii[0], 0.5 * SHAPE.ageing, atol=1e-6)


def test_space_that_was_never_scanned_counts_as_occupied():
    blank = blank_scan(SHAPE, jnp.asarray([0.0, 0.0, 1.5]))
    assert float(blank.reach) == 0
    assert float(scanned(sight_at()).reach) == REACH
    # A sight without returns has scanned nothing.
    assert float(scanned(sight_at(valid=False)).reach) == 0


def test_a_scan_goes_stale():
    lost = sight_at(valid=False)
    patient = round(SHAPE.patience / DT)
    assert float(scanned(sight_at(), *[lost] * patient).reach) == REACH
    assert float(scanned(sight_at(), *[lost] * (patient + 1)).reach) == 0
    assert float(scanned(sight_at(), *[lost] * 20, sight_at()).reach) == REACH


def test_returns_lost_at_random_do_not_make_it_stale():
    draws = np.random.default_rng(2)
    sights = [sight_at(valid=draws.uniform(size=COUNT) > 0.6) for _ in range(40)]
    scan = blank_scan(SHAPE, jnp.asarray([0.0, 0.0, 1.5]))
    for index, sight in enumerate(sights):
        scan = remember_it(SHAPE, scan, sight, DT)
        assert index < 4 or float(scan.reach) == REACH


def ahead(half_angle: float) -> np.ndarray:
    """Which rays look forward."""
    return SHAPE.pattern.directions[:, 0] > np.cos(half_angle)


def test_a_direction_that_was_never_seen_counts_as_occupied():
    dead = scanned(*[sight_at(valid=~ahead(0.6))] * 2)
    assert float(dead.reach) == REACH
    assert clearance_of(dead, (2.0, 0.0, 0.0)) < 0
    # Elsewhere nothing is in the way, and seeing it frees it.
    assert clearance_of(dead, (-2.0, 0.0, 0.0)) > 0.3
    healed = scanned(*[sight_at(valid=~ahead(0.6))] * 2, *[sight_at()] * SHAPE.sights)
    assert clearance_of(healed) > 100


def test_a_direction_that_went_blind_is_free_as_far_as_it_was_seen():
    for seconds, blind in ((0.2, False), (0.5, True)):
        lost = [sight_at(valid=~ahead(0.6))] * round(seconds / DT)
        gone = scanned(sight_at(), *lost)
        assert (clearance_of(gone) > 100) is not blind
        if blind:
            # A ball at the end of each ray, 8 m away; 0.6 m of it are the braking path.
            assert 5 < clearance_of(gone) < 7.5


def clearance_of(scan, velocity=(2.0, 0.0, 0.0)) -> float:
    """Least clearance of the braking path among the balls that the barrier is offered."""
    motion = Motion(jnp.asarray([0.0, 0.0, 1.5]), jnp.asarray(velocity))
    near = nearest_of(SHAPE, scan, BRAKING, motion)
    return path_clearance(velocity, np.asarray(near.centres), np.asarray(near.radii))


def path_clearance(velocity, centres: np.ndarray, radii: np.ndarray) -> float:
    start, velocity = np.array([[0.0, 0.0, 1.5]]), np.array([velocity])
    speed = np.linalg.norm(velocity)
    stop = start + velocity * (speed + 3.5 / 240) / 7.0
    return float((exact_distance(start, stop, centres[None])[0] - radii).min())


def test_lost_returns_do_not_free_what_was_seen():
    seen = scanned(sight_at(ranges=2.0))
    blind = scanned(sight_at(ranges=2.0), *[sight_at(valid=False)] * (3 * SHAPE.sights))
    assert clearance_of(seen) < 2
    grown = 3 * SHAPE.sights * DT * SHAPE.ageing
    assert clearance_of(blind) == pytest.approx(clearance_of(seen) - grown, abs=1e-4)


def test_a_free_sight_does_free_it_when_the_old_ones_are_gone():
    free = sight_at()
    kept = scanned(sight_at(ranges=2.0), *[free] * (SHAPE.sights - 1))
    gone = scanned(sight_at(ranges=2.0), *[free] * SHAPE.sights)
    assert clearance_of(kept) < 2
    assert clearance_of(gone) > 100


def test_the_barrier_is_offered_the_most_pressing_ball_of_all():
    draws = np.random.default_rng(3)
    for _ in range(20):
        sights = [
            sight_at(
                position=tuple(draws.uniform(-0.3, 0.3, 3) + [0, 0, 1.5]),
                ranges=np.where(
                    draws.uniform(size=COUNT) < 0.5, REACH, draws.uniform(0.3, 8, COUNT)
                ),
                valid=draws.uniform(size=COUNT) < 0.9,
            )
            for _ in range(SHAPE.sights + 1)
        ]
        scan = scanned(*sights)
        velocity = draws.uniform(-3, 3, 3)
        points = np.asarray(scan.points, np.float64).reshape(-1, 3)
        radii = np.asarray(scan.radii, np.float64).reshape(-1)
        least = path_clearance(velocity, points[radii >= 0], radii[radii >= 0])
        assert clearance_of(scan, velocity) == pytest.approx(least, abs=1e-5)


def test_every_ray_lies_in_one_patch():
    # A short patch repeats its own rays.
    rays = [ray for patch in SHAPE.patch_rays for ray in set(patch.tolist())]
    assert sorted(rays) == list(range(COUNT))
    assert SHAPE.patch_rays.shape[0] <= SHAPE.patches


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.01])
def test_ranges_that_are_none_count_as_lost(value):
    ranges = np.full(COUNT, 2.0)
    ranges[7] = value
    mended, any_bad = finite(sight_at(ranges=ranges))
    assert bool(any_bad)
    assert not bool(mended.valid[7])
    assert np.isfinite(mended.ranges).all()
    assert int(mended.valid.sum()) == COUNT - 1
    assert not bool(finite(sight_at(ranges=2.0))[1])


def test_rays_look_into_every_direction():
    # The widest gap between rays, times the share that counts as occupied.
    assert Design().rays.cell_radius.max() < np.deg2rad(12)
    holes = RayPattern(((0.0, 48),)).cell_radius.max()
    assert holes > np.deg2rad(80)


def test_nothing_has_no_radius():
    scan = scanned(sight_at())
    assert np.asarray(scan.radii).max() < NOTHING / 2
