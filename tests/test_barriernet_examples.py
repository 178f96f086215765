"""BarrierNet's own experiments: what is learnt drives, and what its rows promise is kept."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from barriernet.examples import merging, robot2d, robot3d
from barriernet.examples.experiment import Scene
from barriernet.examples.matfile import MatFileError, read_matrices
from barriernet.examples.report import measure


@pytest.fixture(scope="module")
def flight(test_data):
    return robot3d.load(test_data / "barriernet_3d")


def test_the_published_flight_is_read_as_described(flight):
    """reference: 284 training and 47 test rows of one flight, whose least b are 17.49 and 19.77."""
    assert flight.states.shape == (284, 6)
    assert flight.test_states.shape == (47, 6)
    height = jax.vmap(robot3d.clearance)
    assert float(height(jnp.asarray(flight.states)).min()) == pytest.approx(17.49, abs=0.01)
    assert float(height(jnp.asarray(flight.test_states)).min()) == pytest.approx(19.77, abs=0.01)


@pytest.fixture(scope="module")
def together(flight):
    """The published start and those near it in one scene: one program less."""
    alone, near = flight.scenes
    starts = np.concatenate([alone.starts, near.starts])
    outside = np.concatenate([alone.outside, near.outside])
    scene = Scene("all starts", robot3d.EXPERIMENT, starts, outside)
    return replace(flight, scenes=(scene,))


@pytest.mark.long
def test_three_seeds_of_the_3d_robot_fit_the_expert_and_never_touch(together):
    rows = list(measure(robot3d.EXPERIMENT, robot3d.RECIPE, together, range(3), barrier=True))
    assert len(rows) == 3
    assert all(row.test_mse <= 1e-3 for row in rows)
    assert all(row.least_margin > 0 and row.certified == 1 for row in rows)


def test_without_the_layer_the_3d_robot_flies_into_the_obstacle(together):
    """Negative control: the same network, data, recipe and starts."""
    (row,) = measure(robot3d.EXPERIMENT, robot3d.RECIPE, together, range(1), barrier=False)
    assert row.least_margin < 0
    assert row.unsafe_runs > 0.2


@pytest.mark.parametrize(
    "module", [pytest.param(robot2d, marks=pytest.mark.long), merging], ids=["robot2d", "merging"]
)
def test_optimal_demonstrations_are_learnt_and_the_barriers_kept(module):
    shown = module.demonstrate(100)
    safe = list(measure(module.EXPERIMENT, module.RECIPE, shown, range(1), barrier=True))
    bare = list(measure(module.EXPERIMENT, module.RECIPE, shown, range(1), barrier=False))
    assert all(row.least_margin >= 0 and row.certified == 1 for row in safe)
    # Twice as good as always doing the same, at the least.
    assert safe[0].test_mse < 0.5 * np.var(shown.test_controls)
    # Negative control: without the layer some barrier is crossed somewhere.
    assert min(row.least_margin for row in bare) < 0


@pytest.mark.parametrize("module", [robot2d, merging], ids=["robot2d", "merging"])
def test_the_expert_keeps_his_own_rows(module):
    shown = module.demonstrate(10)
    gains = jnp.asarray(module.EXPERT_GAINS)
    A, b = jax.vmap(lambda state: module.EXPERIMENT.rows(state, gains))(shown.states)
    short = (b - jnp.einsum("trc,tc->tr", A, shown.controls)) / jnp.linalg.norm(A, axis=-1)
    assert float(short.max()) < 0.05
    # And they matter: on some steps they are what he goes by.
    assert float(jnp.mean(jnp.any(short > -0.01, axis=1))) > 0.02


def mat_file(name: str, values: np.ndarray, compressed: bool = False) -> bytes:
    """A MATLAB 5 file, written by hand from the published layout."""

    def element(kind: int, body: bytes) -> bytes:
        return struct.pack("<II", kind, len(body)) + body + b"\0" * (-len(body) % 8)

    content = element(6, struct.pack("<II", 6, 0)) + element(5, struct.pack("<ii", *values.shape))
    content += element(1, name.encode()) + element(9, values.T.tobytes())
    matrix = struct.pack("<II", 14, len(content)) + content
    if compressed:
        packed = zlib.compress(matrix)
        matrix = struct.pack("<II", 15, len(packed)) + packed
    return b"made by hand".ljust(124) + b"\x00\x01IM" + matrix


@pytest.mark.parametrize("compressed", [False, True])
def test_matrices_come_back(tmp_path, compressed):
    values = np.arange(6.0).reshape(2, 3)
    (tmp_path / "a.mat").write_bytes(mat_file("data", values, compressed))
    found = read_matrices(tmp_path / "a.mat")
    assert list(found) == ["data"]
    np.testing.assert_array_equal(found["data"], values)


@pytest.mark.parametrize("cut", [0, 60, 127, 140, 180, 200])
def test_a_damaged_file_is_refused(tmp_path, cut):
    (tmp_path / "a.mat").write_bytes(mat_file("data", np.ones((4, 4)))[:cut])
    try:
        found = read_matrices(tmp_path / "a.mat")
    except MatFileError as fault:
        assert "a.mat" in str(fault)
    else:
        assert found == {}, "half a matrix must not be taken for one"
