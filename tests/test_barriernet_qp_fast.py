"""The fast path does the work: what it refuses, a solver forty times slower has to answer."""

import jax
import jax.numpy as jnp
import numpy as np

from barriernet._qp.lanes import Lanes, plain
from barriernet._qp.problem import Outcome
from barriernet._qp.solve import _guessed, _settled
from barriernet.verify.problems import adversarial_problems

COUNT = 2048


def accepted(problems):
    """Which problems the guess and its correction settle, whatever the careful solver says."""
    lanes = Lanes(*(jnp.moveaxis(jnp.asarray(part), 0, -1) for part in problems))
    lanes = lanes.replace(A=jnp.swapaxes(lanes.A, 0, 1))
    return np.asarray(outcomes(lanes)) == Outcome.SOLVED


@jax.jit
def outcomes(lanes):
    fine = plain(lanes)
    return _settled(lanes, _guessed(lanes, fine), fine).outcome


def test_guesses_settle():
    problems = adversarial_problems(COUNT, 4, 16, seed=5)
    assert np.all(accepted(problems))


def test_hard_rows_settle_where_they_can():
    """Rows of feasible problems made hard: all but few."""
    problems = adversarial_problems(2 * COUNT, 4, 16, seed=6, contradictory=0.0)
    feasible = type(problems)(*(part[::2] for part in problems))
    hard = np.where(np.arange(16) % 4 == 0, np.inf, feasible.weight)
    assert np.mean(accepted(feasible._replace(weight=hard))) > 0.99


def test_infeasible_hard_rows_do_not():
    """Negative control: where nothing can be settled, nothing is."""
    problems = adversarial_problems(COUNT, 4, 16, seed=7, contradictory=1.0)
    opposed = np.full_like(problems.weight, np.inf)
    assert not np.any(accepted(problems._replace(weight=opposed)))
