"""Closed-loop campaigns: bodies in wind, pushed at balls by an adversary, then let go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import jax
import numpy as np
from jaxtyping import Bool

from barriernet.backup import AnchoredBraking, Tube
from barriernet.verify import guards
from barriernet.verify.arena import Scenes, Scripts, draw_scenes, draw_scripts
from barriernet.verify.check import Check
from barriernet.verify.episodes import Ending, episodes
from barriernet.verify.guards import Guard

WIND = 0.8
"""The declared disturbance [m/s^2]."""
BODY = AnchoredBraking((4.0, 4.0, 4.0), Tube(WIND, 1 / 48), margin=0.01)
"""What is flown: 4 m/s^2 along each axis, 48 Hz, 1 cm of clearance asked for."""
LOT = 2000
"""Episodes of one compiled call."""
FAR, FAST = 2.0, 1.0
"""Whoever has left went this far [m] and was this fast [m/s] along the free direction."""
LEAST_POWER = 0.1
"""Share of episodes in which the common way, and a planted fault, must be seen to collide."""
Tell: TypeAlias = Callable[[str], object]
"""Is told what is going on."""


@dataclass(frozen=True)
class Campaign:
    """How much is flown.

    Attributes:
        episodes: at the declared wind.
        others: beyond it, and with each filter that has to fail.
        seconds: of each episode.
        seed: of everything that is drawn.
    """

    episodes: int = 100_000
    others: int = 10_000
    seconds: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class Tally:
    """What came of many episodes.

    Attributes:
        endings: of each.
        screened: starts that were screened out.
    """

    endings: Ending
    screened: int

    @property
    def flown(self) -> int:
        """How many episodes."""
        return len(self.endings.clearance)

    @property
    def collided(self) -> int:
        """In how many the body entered a ball."""
        return int(np.sum(~(self.endings.clearance >= 0)))

    @property
    def released(self) -> Bool[np.ndarray, " E"]:
        """Whether there was a free direction to be let go in."""
        return np.any(self.endings.way != 0, axis=1)

    @property
    def refused(self) -> int:
        """In how many a wish to leave was not followed."""
        left = (self.endings.gone >= FAR) & (self.endings.pace >= FAST)
        return int(np.sum(self.released & ~left))

    def share_collided(self) -> str:
        """In words, with the episodes it was out of."""
        return f"{self.collided:,} of {self.flown:,} collided ({self.collided / self.flown:.2%})"


def check_flights(campaign: Campaign, tell: Tell = lambda text: None) -> Iterator[Check]:
    """At the declared wind, beyond it, and with what must be seen to fail.

    Args:
        campaign: how much is flown.
        tell: told what is going on.

    Yields:
        Each check as it is done. Those beyond the declared wind are reported, not judged.
    """
    guard = guards.anchored(BODY)
    yield from _declared(fly(guard, 1.0, campaign, campaign.episodes, tell))
    for factor in (1.5, 2.0):
        tally = fly(guard, factor, campaign, campaign.others, tell)
        least = float(tally.endings.clearance.min())
        figure = f"{tally.share_collided()}, nearest {1e3 * least:.1f} mm"
        numbers = {"episodes": tally.flown, "collided": tally.collided, "least_m": least}
        name = f"{guard.name}: {factor:g} times the declared wind (reported)"
        yield Check(name, True, figure, numbers=numbers)
    common = guards.clipped_hocbf(BODY), guards.worst_row_hocbf(BODY)
    for faulty in (*common, guards.without_anchor(BODY)):
        tally = fly(faulty, 1.0, campaign, campaign.others, tell)
        caught = tally.collided > LEAST_POWER * tally.flown
        trouble = "" if caught else f"{faulty.name}: expected over {LEAST_POWER:.0%} to collide"
        numbers = {"episodes": tally.flown, "collided": tally.collided}
        yield Check(f"{faulty.name}: is caught", caught, tally.share_collided(), trouble, numbers)


def fly(guard: Guard, factor: float, campaign: Campaign, count: int, tell: Tell) -> Tally:
    """Fly one guard in a multiple of the declared wind; lots are the same for every guard.

    Args:
        guard: what keeps the body safe.
        factor: wind in units of the declared one.
        campaign: seconds and seed.
        count: how many episodes.
        tell: told what is going on.
    """
    lot = min(LOT, count)
    compiled = _compiled(guard)
    endings, screened = [], 0
    for index in range(-(-count // lot)):
        draws = np.random.default_rng([campaign.seed, index])
        scenes, out = draw_scenes(BODY, draws, lot)
        scripts = draw_scripts(draws, lot, campaign.seconds, BODY.tube.tick)
        endings.append(jax.tree.map(np.asarray, compiled(scenes, scripts, factor * WIND)))
        screened += out
        tell(f"{guard.name}, {factor:g} x wind: {(index + 1) * lot:,} of {count:,} episodes")
    # The last lot may be more than was asked for; what was asked for is counted.
    every = jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *endings)
    return Tally(every, screened)


@cache
def _compiled(guard: Guard) -> Callable[[Scenes, Scripts, float], Ending]:
    """One program a guard, whatever the wind."""
    return episodes(BODY, guard)


def _declared(tally: Tally) -> Iterator[Check]:
    """Four checks of the trusted filter inside what it promises."""
    endings, name = tally.endings, "anchored braking"
    # None of n seen: the share is below 3 / n at 95 %.
    figure = f"{tally.share_collided()}, below {3 / tally.flown:.1e} at 95 % if none"
    figure += f"; {tally.screened:,} unsafe starts screened out"
    numbers = {"episodes": tally.flown, "collided": tally.collided, "screened": tally.screened}
    yield _asked(f"{name}: nothing hit in the declared wind", not tally.collided, figure, numbers)
    least = float(endings.clearance.min())
    figure = f"nearest {1e3 * least:.2f} mm; asked for {1e3 * BODY.margin:g} mm"
    yield _asked(
        f"{name}: keeps its margin", bool(least >= BODY.margin), figure, {"least_m": least}
    )
    let = int(np.sum(tally.released))
    figure = f"{tally.refused:,} of {let:,} refused; {tally.flown - let:,} without a free direction"
    numbers = {"released": let, "refused": tally.refused}
    yield _asked(f"{name}: follows every wish to leave", not tally.refused, figure, numbers)
    crossed, drawn = int(endings.crossed.sum()), int(endings.drawn.sum())
    figure = f"{crossed:,} ticks out of limits; {drawn:,} flown by the backup or drawn back to it"
    yield _asked(f"{name}: limits", not crossed, figure, {"crossed": crossed, "drawn": drawn})


def _asked(name: str, passed: bool, figure: str, numbers: Mapping[str, int | float]) -> Check:
    return Check(name, passed, figure, "" if passed else f"{name}: {figure}", numbers)
