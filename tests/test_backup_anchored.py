"""A body that follows an anchored plan: the tube holds it, pushes never creep, it comes out again.

Plain numpy moves the bodies here: double integrators, exactly, and one with lag, as it is.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from barriernet.backup import AnchoredBraking, Motion, Tube, anchored_control

WIND, TICK = 0.8, 1 / 48
TUBE = Tube(WIND, TICK)
LAGGED = Tube(WIND, 1 / 100, lag=0.06, stiffness=50.0, damping=20.0)
BODY = AnchoredBraking((4.0, 4.0, 3.5), TUBE, margin=0.01)
PARTS = 16
"""Pieces of a tick in which the wind is constant."""


def pushed(tube: Tube, wind: np.ndarray) -> np.ndarray:
    """Error of the virtual point and of the true one, `[pieces, 2]`, under a wind `[pieces]`.

    The body is moved as it is: position, velocity, and an acceleration that lags behind the
    command; the plan is at rest. Where there is no lag the two points are the same.
    """
    dt, tau = tube.tick / PARTS, tube.lag
    p = v = a = command = 0.0
    errors = []
    for piece, push in enumerate(wind):
        if piece % PARTS == 0:
            own = a if tau else 0.0
            command = -tube.stiffness * (p + tau * v) - tube.damping * (v + tau * own)
        # The acceleration is an exponential, so velocity and position are known exactly.
        fade = np.exp(-dt / tau) if tau else 0.0
        rest = a - command if tau else 0.0
        p += v * dt + (command + push) * dt**2 / 2 + rest * tau * (dt - tau * (1 - fade))
        v += (command + push) * dt + rest * tau * (1 - fade)
        a = command + rest * fade
        errors.append((p + tau * v, p))
    return np.array(errors)


def worst_wind(tube: Tube, ticks: int) -> np.ndarray:
    """The wind that drives the virtual point farthest at the end: the sign of every response."""
    impulses = np.zeros((PARTS, ticks * PARTS))
    impulses[np.arange(PARTS), np.arange(PARTS)] = 1
    responses = np.array([pushed(tube, impulse)[PARTS - 1 :: PARTS, 0] for impulse in impulses])
    # What a push in tick k does at the end is what one in the first tick does k ticks earlier.
    return tube.disturbance * np.sign(responses.T[::-1]).ravel()


@pytest.mark.parametrize("tube", [TUBE, LAGGED], ids=["no lag", "lag"])
def test_no_wind_pushes_a_body_out_of_its_tube_and_the_worst_takes_it_to_the_edge(tube):
    wind = worst_wind(tube, 150)
    reached = np.abs(pushed(tube, wind)).max(axis=0)
    assert 0.98 * tube.radius < reached[0] <= tube.radius
    assert reached[1] <= tube.radius
    draws = np.random.default_rng(0)
    for hold in (1, PARTS, 30 * PARTS):
        signs = np.repeat(draws.choice([-1.0, 1.0], 100), hold)[: 100 * PARTS]
        assert np.abs(pushed(tube, tube.disturbance * signs)).max() <= tube.radius
    assert np.abs(pushed(tube, 1.2 * wind)).max() > tube.radius


def test_the_reserve_is_what_the_largest_correction_takes():
    found = pushed(TUBE, worst_wind(TUBE, 150))
    assert 1 <= TUBE.reserve / WIND < 1.5
    speed = np.diff(found[:, 0], prepend=0) / (TICK / PARTS)
    correction = TUBE.stiffness * found[:, 0] + TUBE.damping * speed
    assert np.abs(correction[PARTS - 1 :: PARTS]).max() <= TUBE.reserve * 1.05


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("disturbance", {"disturbance": -1.0}),
        ("disturbance", {"disturbance": float("nan")}),
        ("tick", {"tick": 0.0}),
        ("lag", {"lag": float("inf")}),
        ("damping", {"damping": 0.0}),
        ("stiffness, damping", {"tick": 0.1}),
        ("stiffness, damping", {"stiffness": 1e-3}),
    ],
)
def test_a_tube_that_holds_nothing_is_refused(field, change):
    with pytest.raises(ValueError, match=f"^{field}: expected"):
        Tube(**{"disturbance": WIND, "tick": TICK, **change})


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("limit", {"limit": (4.0, 0.5, 4.0)}),
        ("limit", {"limit": (4.0, float("inf"))}),
        ("margin", {"margin": -0.1}),
        ("leash", {"leash": 0.5}),
    ],
)
def test_a_body_that_cannot_brake_is_refused(field, change):
    with pytest.raises(ValueError, match=f"^{field}: expected"):
        AnchoredBraking(**{"limit": (4.0, 4.0), "tube": TUBE, **change})


FACE = 50.0
"""Radius of a ball that is as good as a face [m]."""
TICKS, RELEASE = 48 * 65, 48 * 60
LANES = ("full throttle", "creep", "chatter", "inside", "diving in", "wedged", "faulty", "gale")


def scenes() -> dict[str, np.ndarray]:
    """A face below, other balls out of the way; some bodies start inside what they keep out of."""
    count = len(LANES)
    centres = np.tile(np.array([[0, 0, -FACE]] + [[100.0, 0, 0]] * 7), (count, 1, 1))
    radii = np.tile(np.array([FACE] + [1.0] * 7), (count, 1))
    point, velocity = np.tile([0.0, 0, 0.5], (count, 1)), np.zeros((count, 3))
    point[LANES.index("inside"), 2] = 0.004
    point[LANES.index("diving in"), 2], velocity[LANES.index("diving in"), 2] = 0.03, -0.3
    wedge = LANES.index("wedged")
    point[wedge, 2], centres[wedge, 1], radii[wedge, 1] = 0.012, [0, 0, FACE + 0.024], FACE
    return {"centres": centres, "radii": radii, "point": point, "velocity": velocity}


def orders() -> dict[str, np.ndarray]:
    """60 s into the face, wind with it; then 5 s away. NaN in all the wrong places of one."""
    count = len(LANES)
    wish, wind = np.zeros((TICKS, count, 3)), np.zeros((TICKS, count, 3))
    wish[..., 2], wind[..., 2] = -20.0, -WIND
    wish[:, LANES.index("creep"), 2] = -0.05
    wish[::2, LANES.index("chatter"), 2] = 20
    wish[RELEASE:, :, 2] = 1.5
    wish[:, LANES.index("wedged")] = [1.0, 0, 0]
    wind[:, LANES.index("gale")] *= 3
    motion, plan, faulty = np.zeros_like(wish), np.zeros_like(wish), LANES.index("faulty")
    motion[100:1000:50, faulty], plan[125:1000:50, faulty] = np.nan, np.inf
    wish[110:1000:50, faulty, 1] = np.nan
    motion[960, faulty] = plan[960, faulty] = np.nan
    return {"wish": wish, "wind": wind, "motion": motion, "plan": plan}


@pytest.fixture(scope="module")
def flown() -> dict[str, np.ndarray]:
    """Clearance, barrier of the plan, control and so on, by tick and lane."""
    scene = {name: jnp.asarray(value) for name, value in scenes().items()}

    def act(given: tuple) -> tuple:
        return anchored_control(BODY, *given, 8.0)

    def tick(carry: tuple, now: dict) -> tuple:
        plan, point, velocity = carry
        seen = Motion(point + now["motion"], velocity)
        plan = Motion(plan.point + now["plan"], plan.velocity)
        balls = scene["centres"], scene["radii"]
        # One after the other: half the time to compile of a batch.
        plan, control, report = jax.lax.map(act, (plan, seen, *balls, now["wish"]))
        push = control + now["wind"]
        point, velocity = point + velocity * TICK + push * TICK**2 / 2, velocity + push * TICK
        apart = jnp.linalg.norm(balls[0] - point[:, None], axis=-1) - balls[1]
        found = {
            "clearance": apart.min(axis=1),
            "barrier": report.barrier.min(axis=1),
            "outside": report.outside,
            "share": report.share,
            "control": control,
            "point": point,
            "plan": plan.point,
        }
        return (plan, point, velocity), found

    start = Motion(scene["point"], scene["velocity"])
    every = {name: jnp.asarray(value) for name, value in orders().items()}
    run = jax.jit(lambda start, x: jax.lax.scan(tick, (start, start.point, start.velocity), x)[1])
    return {name: np.asarray(value) for name, value in run(start, every).items()}


def of(flown: dict[str, np.ndarray], name: str, lane: str) -> np.ndarray:
    return flown[name][:, LANES.index(lane)]


def test_limits_hold_bit_for_bit_and_nothing_is_ever_nan(flown):
    assert (np.abs(flown["control"]) <= np.array(BODY.limit)).all()
    assert all(np.isfinite(part).all() for part in flown.values())


@pytest.mark.parametrize("lane", ["full throttle", "creep", "chatter", "faulty"])
def test_a_minute_of_pushing_never_creeps_and_the_wish_to_leave_is_followed(flown, lane):
    clearance = of(flown, "clearance", lane)
    assert clearance.min() >= BODY.margin
    # What it keeps it keeps: the last half minute is as clear as the first, to a tenth of a mm.
    pressed = clearance[: RELEASE // 2].min()
    assert clearance[RELEASE // 2 : RELEASE].min() > pressed - 1e-4
    assert clearance[RELEASE + 48] > clearance[RELEASE] + 0.3
    assert clearance[-1] > 2
    if lane != "faulty":
        assert not of(flown, "outside", lane).any()
        assert (of(flown, "share", lane) == 1).all()


def test_beyond_the_declared_wind_the_margin_is_used_up_and_the_report_says_so(flown):
    # Otherwise the tests above would show nothing.
    assert of(flown, "clearance", "gale").min() < BODY.margin - 0.01
    assert of(flown, "outside", "gale").mean() > 0.5


@pytest.mark.parametrize("lane", ["inside", "diving in"])
def test_what_starts_inside_is_driven_out_and_never_deeper_though_it_pushes_in(flown, lane):
    barrier = of(flown, "barrier", lane)
    assert barrier[0] < -0.005
    assert barrier[48] > -1e-3
    assert barrier[96:RELEASE].min() >= 0
    inside = np.flatnonzero(barrier < 0)
    assert (np.diff(barrier)[inside] >= -1e-12).all()
    assert of(flown, "clearance", lane)[-1] > 2


def test_a_gap_too_narrow_is_left_sideways(flown):
    # Both sides are inside what is kept out: their rows contradict each other, the wish does not.
    barrier = of(flown, "barrier", "wedged")
    assert barrier[0] < -0.005
    assert of(flown, "point", "wedged")[RELEASE, 0] > 5
    assert of(flown, "clearance", "wedged").min() > 0


def test_faults_are_told_and_answered_by_the_backup(flown):
    told, share = of(flown, "outside", "faulty"), of(flown, "share", "faulty")
    assert told[100:1000:50].all()
    assert told[125:1000:50].all()
    assert (share[110:1000:50] == 0).all()
    assert told.sum() < 100
