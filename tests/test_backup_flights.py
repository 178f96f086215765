"""Closed loop in wind against an adversary: what `verify_barrier` flies, a little of it.

The whole campaign is `scripts/verify_barrier.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

from barriernet.verify import guards
from barriernet.verify.arena import HOSTILE, clear_of_path, draw_scenes, draw_scripts
from barriernet.verify.episodes import Ending
from barriernet.verify.flights import BODY, Campaign, Tally, _declared, fly
from barriernet.verify.row_residuals import check_rows

FLOWN = Campaign(episodes=300, others=300, seconds=11.0, seed=7)


def tally(guard: guards.Guard, factor: float) -> Tally:
    return fly(guard, factor, FLOWN, FLOWN.episodes, lambda text: None)


@pytest.fixture(scope="module")
def anchored() -> guards.Guard:
    return guards.anchored(BODY)


def test_in_the_declared_wind_nothing_is_hit_and_every_wish_to_leave_is_followed(anchored):
    found = tally(anchored, 1.0)
    checks = list(_declared(found))
    assert len(checks) == 4
    assert not [check.trouble for check in checks if not check.passed]
    assert found.screened > 0
    assert found.released.mean() > 0.95
    # The margin is not only kept, it is what stops them: the tube is not far too wide.
    assert found.endings.clearance.min() < BODY.margin + BODY.tube.radius + BODY.cushion


def test_twice_the_declared_wind_uses_the_margin_up(anchored):
    assert (tally(anchored, 2.0).endings.clearance < BODY.margin).mean() > 0.05


def test_the_common_way_collides_in_over_a_tenth():
    assert tally(guards.worst_row_hocbf(BODY), 1.0).collided > 0.1 * FLOWN.episodes


def test_checks_of_a_campaign_that_went_wrong_fail():
    one = np.ones(4)
    good = Ending(one, np.zeros((4, 3)), np.ones((4, 3)), 3 * one, 2 * one, 0 * one, 0 * one)
    assert all(check.passed for check in _declared(Tally(good, 0)))
    faults = {"clearance": -one, "gone": one, "pace": 0.5 * one, "crossed": one}
    for name, value in faults.items():
        checks = list(_declared(Tally(good.replace(**{name: value}), 0)))
        assert any(not check.passed and check.trouble for check in checks), name
    lost = good.replace(clearance=np.array([1, 1, np.nan, 1.0]))
    assert not next(iter(_declared(Tally(lost, 0)))).passed


def test_starts_are_safe_and_every_kind_of_them_is_there():
    draws = np.random.default_rng(0)
    scenes, screened = draw_scenes(BODY, draws, 500)
    path = clear_of_path(BODY, scenes.point, scenes.velocity, scenes.centres) - scenes.radii
    room = path.min(axis=1) - BODY.keep_out
    assert room.min() > -1e-12
    assert 0.15 < (np.abs(room) < 1e-9).mean() < 0.25
    assert screened > 10
    still = np.all(scenes.velocity == 0, axis=1)
    assert 0.1 < still.mean() < 0.3
    scripts = draw_scripts(draws, 500, 11.0, 1 / 48)
    assert set(np.unique(scripts.deed)) == set(range(7))
    assert (scripts.deed[:, -20:] == 6).all()
    assert 0.2 < (scripts.wind == HOSTILE).mean() < 0.5
    again = draw_scenes(BODY, np.random.default_rng(0), 500)[0]
    assert all(np.array_equal(a, b) for a, b in zip(scenes, again, strict=True))


def test_the_backup_satisfies_every_row_of_100_000_states_to_rounding():
    checks = list(check_rows(100_000))
    assert len(checks) == 4
    assert not [check for check in checks if not check.passed]
    assert all(check.numbers["rows"] > 2e6 for check in checks[:3])
