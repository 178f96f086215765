"""The networks that flew, imported: TensorFlow's answers, and a network written here in numpy."""

from __future__ import annotations

import json

import h5py
import jax.numpy as jnp
import numpy as np
import pytest

from lnn_nav.convert import FrameError, WeightsError, from_drone_causality

FLOWN = ("cfc", "ctrnn", "gruode", "lstm", "ltc", "mixedcfc", "ncp", "wiredcfccell")
LIMITS = {"ctrnn": 2e-3}
"""Where the original's own tolerances are wide; 1e-6 elsewhere."""
IMAGE, WIDTH, NEURONS = (64, 80, 3), 11, 7
PARAMS = {
    "ct_network_type": "cfc",
    "image_shape": IMAGE,
    "rnn_sizes": [NEURONS],
    "config": {"backbone_activation": "silu", "backbone_layers": 1, "backbone_units": WIDTH},
}


@pytest.fixture(scope="module")
def flown(test_data):
    folder = test_data / "drone_causality"
    params = json.loads((folder / "params.json").read_text(encoding="utf-8"))
    return folder, params, np.load(folder / "golden.npz")


@pytest.mark.parametrize("name", FLOWN)
def test_flown_networks_answer_as_tensorflow_does(name, flown):
    folder, params, golden = flown
    network = from_drone_causality(folder / f"{name}.hdf5", params[name])
    velocities = np.asarray(network(golden["frames"]))
    assert velocities.dtype == np.float32
    assert np.abs(golden[name]).max() > 0.05
    assert np.abs(velocities - golden[name]).max() <= LIMITS.get(name, 1e-6)


def test_a_flown_network_streams(flown):
    folder, params, golden = flown
    network = from_drone_causality(folder / "ncp.hdf5", params["ncp"])
    memory = np.zeros(network.cell.memory_size, np.float32)
    for frame, expected in zip(golden["frames"][:3], golden["ncp"][:3], strict=True):
        memory, velocities = network.step(jnp.asarray(memory), frame)
        assert np.abs(np.asarray(velocities) - expected).max() <= 1e-6


def test_the_wrong_parameters_are_told(flown):
    folder, params, _ = flown
    for name, other in (("cfc", "ltc"), ("ncp", "ltc"), ("lstm", "ctrnn"), ("mixedcfc", "cfc")):
        with pytest.raises(WeightsError):
            from_drone_causality(folder / f"{name}.hdf5", params[other])
    with pytest.raises(WeightsError, match="seed"):
        from_drone_causality(folder / "ncp.hdf5", {**params["ncp"], "seed": 22223})
    with pytest.raises(WeightsError, match="ct_network_type"):
        from_drone_causality(folder / "cfc.hdf5", {**params["cfc"], "ct_network_type": "other"})
    with pytest.raises(WeightsError, match="config"):
        from_drone_causality(folder / "cfc.hdf5", {**params["cfc"], "config": None})


def drawn_layers(command: bool):
    """A small network with every layer of a flown one, by name and in the file's order."""
    rng = np.random.default_rng(5)

    def layer(*shape):
        kernel = rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
        return {"kernel:0": kernel, "bias:0": rng.uniform(-0.2, 0.2, shape[-1])}

    layers = {"colours": {"mean:0": [0.4, 0.5, 0.6], "variance:0": [0.05, 0.06, 0.07]}}
    channels = (3, 24, 36, 48, 64, 16)
    for k, size in enumerate((5, 5, 5, 3, 3)):
        layers[f"conv {k}"] = layer(size, size, *channels[k : k + 2])
    layers["features"] = layer(2 * 16, 128)
    if command:
        layers["command"] = layer(2, 128)
    heard = 256 if command else 128
    parts = [layer(heard + NEURONS, WIDTH), *(layer(WIDTH, NEURONS) for _ in range(4))]
    layers["rnn"] = {
        f"dense_{k}/{name}": value for k, part in enumerate(parts) for name, value in part.items()
    }
    layers["head"] = layer(NEURONS, 4)
    return layers


def written(layers, file):
    with h5py.File(file, "w") as root:
        root.attrs["layer_names"] = [*layers, "dropout"]
        root.create_group("dropout").attrs["weight_names"] = []
        for name, weights in layers.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = list(weights)
            for path, value in weights.items():
                group[path] = np.asarray(value, np.float32)
    return file


def convolved(images, kernel, bias, stride):
    size = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    return np.maximum(np.einsum("nhwcij,ijco->nhwo", windows, kernel) + bias, 0)


def transcribed(layers, frames, command):
    """The published equations in numpy."""
    mean, variance = (np.array(value) for value in layers["colours"].values())
    images = (frames / 255 - mean) / np.sqrt(variance)
    for k, stride in enumerate((2, 2, 2, 1, 2)):
        images = convolved(images, *layers[f"conv {k}"].values(), stride)
    kernel, bias = layers["features"].values()
    heard = images.reshape(len(frames), -1) @ kernel + bias
    if command is not None:
        kernel, bias = layers["command"].values()
        heard = np.concatenate([heard, np.maximum(command @ kernel + bias, 0)], axis=1)
    shared, first, second, slope, offset = (
        [layers["rnn"][f"dense_{k}/{name}"] for name in ("kernel:0", "bias:0")] for k in range(5)
    )
    memory, velocities = np.zeros(NEURONS), []
    for now in heard:
        x = np.concatenate([now, memory]) @ shared[0] + shared[1]
        x = x / (1 + np.exp(-x))
        f, g = (1.7159 * np.tanh(0.666 * (x @ w + b)) for w, b in (first, second))
        gate = 1 / (1 + np.exp(x @ slope[0] + slope[1] - (x @ offset[0] + offset[1])))
        memory = f * (1 - gate) + g * gate
        velocities.append(memory @ layers["head"]["kernel:0"] + layers["head"]["bias:0"])
    return np.array(velocities)


@pytest.mark.parametrize("command", [False, True])
def test_a_network_written_here_answers_as_its_equations(command, tmp_path):
    layers = drawn_layers(command)
    network = from_drone_causality(written(layers, tmp_path / "net.hdf5"), PARAMS)
    rng = np.random.default_rng(6)
    frames = rng.integers(0, 256, (4, *IMAGE), dtype=np.uint8)
    commands = rng.uniform(-1, 1, (4, 2)) if command else None
    expected = transcribed(layers, frames, commands)
    assert np.abs(np.asarray(network(frames, commands)) - expected).max() <= 2e-6
    if command:
        told = np.broadcast_to(commands[0], (4, 2))
        expected = transcribed(layers, frames, told)
        assert np.abs(np.asarray(network(frames, commands[0])) - expected).max() <= 2e-6
        assert np.abs(np.asarray(network(frames, commands[1])) - expected).max() > 1e-3


def test_frames_and_commands_that_do_not_fit_are_refused(tmp_path):
    network = from_drone_causality(written(drawn_layers(True), tmp_path / "net.hdf5"), PARAMS)
    frames = np.zeros((2, *IMAGE), np.uint8)
    for wrong in (frames[0], frames[..., :2], frames[:, :40], np.zeros((2, 5, 5, 3))):
        with pytest.raises(FrameError, match="frames"):
            network(wrong, np.zeros(2))
    for wrong in (None, np.zeros(3), np.zeros((3, 2))):
        with pytest.raises(FrameError, match="command"):
            network(frames, wrong)
    blind = from_drone_causality(written(drawn_layers(False), tmp_path / "blind.hdf5"), PARAMS)
    with pytest.raises(FrameError, match="no command"):
        blind(frames, np.zeros(2))


def spoilt(kind):
    layers = drawn_layers(True)
    if kind == "a layer missing":
        del layers["conv 2"]
    elif kind == "no head, seven velocities":
        del layers["head"]
    elif kind == "layers that do not fit":
        layers["conv 3"]["kernel:0"] = np.zeros((3, 3, 47, 64))
    elif kind == "not finite":
        layers["head"]["kernel:0"][0, 0] = np.nan
    elif kind == "a weight too many":
        layers["rnn"]["more:0"] = np.zeros(3)
    elif kind == "a negative variance":
        layers["colours"]["variance:0"][1] = -1.0
    elif kind == "features of another size":
        layers["features"] = {"kernel:0": np.zeros((32, 64)), "bias:0": np.zeros(64)}
    return layers


@pytest.mark.parametrize(
    "kind",
    [
        "a layer missing",
        "no head, seven velocities",
        "layers that do not fit",
        "not finite",
        "a weight too many",
        "a negative variance",
        "features of another size",
    ],
)
def test_spoilt_networks_are_refused(kind, tmp_path):
    with pytest.raises(WeightsError):
        from_drone_causality(written(spoilt(kind), tmp_path / "net.hdf5"), PARAMS)


def test_damaged_files_are_refused(tmp_path):
    file = written(drawn_layers(False), tmp_path / "net.hdf5")
    whole = file.read_bytes()
    with pytest.raises(WeightsError, match=r"missing\.hdf5"):
        from_drone_causality(tmp_path / "missing.hdf5", PARAMS)
    for size in (0, 7, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(WeightsError, match="weight file"):
            from_drone_causality(file, PARAMS)
    file.write_bytes(b"not an HDF5 file at all" * 100)
    with pytest.raises(WeightsError, match="weight file"):
        from_drone_causality(file, PARAMS)
