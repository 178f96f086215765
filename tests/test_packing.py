"""Packed trees and records come back as they were; the QP's shortcut changes no answer."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from barriernet import Outcome, solve_qp
from barriernet.shortcut import solve_qp_near
from lnn_nav.packing import Packing, Record, pack


def sample(seed: int) -> dict[str, jax.Array]:
    """A tree of every kind of leaf that a pilot remembers."""
    draws = np.random.default_rng(seed)
    return {
        "floats": jnp.asarray(draws.normal(size=(3, 2)), jnp.float32),
        "doubles": jnp.asarray(draws.normal(size=4)),
        "count": jnp.asarray(draws.integers(0, 1000), jnp.int32),
        "flag": jnp.asarray(bool(draws.integers(2))),
        "flags": jnp.asarray(draws.integers(2, size=5).astype(bool)),
    }


@pytest.mark.parametrize("seed", range(5))
def test_unpacking_undoes_packing_bit_for_bit(seed: int) -> None:
    """Law: unpack(pack(tree)) == tree, dtypes included, also inside jit."""
    tree = sample(seed)
    packing = Packing.of(tree)
    back = jax.jit(lambda vector: packing.unpack(vector))(pack(tree, jnp.float64))
    for name, leaf in tree.items():
        assert back[name].dtype == leaf.dtype
        assert np.array_equal(back[name], leaf)


def test_a_record_is_a_mapping_of_its_columns() -> None:
    """Names, values and shapes are kept, batched ones too."""
    columns = {"b": jnp.arange(6.0).reshape(2, 3), "a": jnp.asarray(7.0), "c": jnp.ones(2, bool)}
    record = Record.of(columns, jnp.float64)
    assert set(record) == set(columns) and len(record) == 3
    for name, value in columns.items():
        assert np.array_equal(record[name], value)
    batch = jax.vmap(lambda x: Record.of({"x": x, "y": x[0]}, x.dtype))(jnp.eye(3))
    assert np.array_equal(batch["x"], np.eye(3))
    assert np.array_equal(batch["y"], np.eye(3)[0])
    with pytest.raises(KeyError):
        record["nothing"]


def problems(count: int) -> tuple[jax.Array, ...]:
    """Random filters, about half of which allow the wish."""
    draws = np.random.default_rng(3)
    wish = jnp.asarray(draws.normal(size=(count, 3)) * 2)
    rows = jnp.asarray(draws.normal(size=(count, 6, 3)))
    bound = jnp.asarray(draws.normal(size=(count, 6)) * 2 - 5)
    return wish, rows, bound


def test_the_shortcut_gives_the_answer_of_the_solver() -> None:
    """Same x and outcome on 400 problems; both ways are taken."""
    wish, rows, bound = problems(400)
    eye, box, weight = jnp.eye(3), jnp.full(3, 3.0), jnp.full(6, 100.0)
    near = jax.vmap(lambda w, a, b: solve_qp_near(w, eye, a, b, -box, box, weight))
    full = jax.vmap(lambda w, a, b: solve_qp(eye, -w, a, b, -box, box, weight))
    short, long = near(wish, rows, bound), full(wish, rows, bound)
    assert np.abs(short.x - long.x).max() < 1e-9
    assert (short.outcome == int(Outcome.SOLVED)).all()
    allowed = np.asarray((short.x == wish).all(axis=-1))
    assert 50 < allowed.sum() < 350
    # Negative control: taking the shortcut everywhere would be seen.
    assert np.abs(wish - long.x).max() > 0.1


def test_the_shortcut_never_passes_nan_through() -> None:
    """A wish that is not a number takes the long way, which refuses it."""
    eye, box = jnp.eye(3), jnp.full(3, 3.0)
    rows, bound, weight = jnp.zeros((1, 3)), jnp.full(1, -1.0), jnp.ones(1)
    for bad in (jnp.nan, jnp.inf):
        wish = jnp.asarray([0.0, bad, 0.0])
        answer = solve_qp_near(wish, eye, rows, bound, -box, box, weight)
        assert np.isfinite(answer.x).all()
        assert int(answer.outcome) != int(Outcome.SOLVED)
