"""Wirings as tables, graphs and drawings say what the wiring says, and what its cells do."""

from __future__ import annotations

import io
import sys

import jax
import jax.numpy as jnp
import networkx
import numpy as np
import pytest
from flax import nnx
from matplotlib import colors
from matplotlib._pylab_helpers import Gcf
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from lnn_nav.cells import MLP, WiredCfC, WiredLTC, Wiring
from lnn_nav.cells.wirings import auto_ncp, fully_connected, random_wiring
from lnn_nav.convert.arrays import filled, parameters
from lnn_nav.extras import MissingExtra
from lnn_nav.insight.colours import EXCITES, INHIBITS
from lnn_nav.insight.probe import ProbeError
from lnn_nav.insight.wiring import connectivity, graph, strengths, synapses_by_layer
from lnn_nav.insight.wiring_plots import columns, draw_connectivity, draw_wiring, layout

NCP = auto_ncp(6, 14, 3)
WIRINGS = {
    "ncp": NCP,
    "random": random_wiring(4, 9, 3, sparsity=0.6),
    "full": fully_connected(3, 5),
    # A neuron that nothing leads to, layers in another order than their numbers, no synapse back.
    "odd": Wiring(
        np.array([[0, 0, 0], [1, 0, 0], [0, -1, 0]]),
        np.array([[0, 0, 1], [0, 0, 0]]),
        (("last", (0, 2)), ("first", (1,))),
        1,
    ),
}


@pytest.mark.parametrize("name", WIRINGS)
def test_the_table_is_inputs_over_neurons(name):
    wiring = WIRINGS[name]
    table, sources, targets = connectivity(wiring)
    assert (
        table.shape
        == (len(sources), len(targets))
        == (wiring.inputs + wiring.neurons,) + (wiring.neurons,)
    )
    for row, column in np.ndindex(*table.shape):
        kind, number = sources[row].split()
        tables = {"input": wiring.senses, "neuron": wiring.synapses}
        assert table[row, column] == tables[kind][int(number), column]
    assert targets == sources[wiring.inputs :] and len(set(sources)) == len(sources)


@pytest.mark.parametrize("name", WIRINGS)
def test_edges_of_the_graph_are_those_of_the_table(name):
    wiring = WIRINGS[name]
    net, (table, sources, _) = graph(wiring), connectivity(wiring)
    assert list(net) == list(sources)
    square = np.zeros((len(sources),) * 2)
    square[:, wiring.inputs :] = table
    np.testing.assert_array_equal(networkx.to_numpy_array(net, weight="polarity"), square)
    for node, about in net.nodes(data=True):
        assert node == f"{about['kind']} {about['index']}"
        neuron = about["kind"] == "neuron"
        assert about["output"] == (neuron and about["index"] < wiring.outputs)
        assert about["layer"] == (wiring.layer_of(about["index"]) if neuron else "inputs")


def test_synapses_are_counted_by_layer():
    """The counts of the published AutoNCP(32, 4) on 8 inputs: 64 senses and 116 synapses."""
    counts = synapses_by_layer(auto_ncp(8, 32, 4))
    assert counts["inputs", "inter"] == 64
    assert sum(counts.values()) == 64 + 116
    assert set(counts) == {
        ("inputs", "inter"),
        ("inter", "command"),
        ("command", "command"),
        ("command", "motor"),
    }


def shaken(cell, seed=0):
    """The same cell in float64, every parameter moved off its start."""
    rng = np.random.default_rng(seed)
    values = {
        path: value.astype(float) + rng.uniform(-0.3, 0.3, value.shape)
        for path, value in sorted(parameters(cell).items(), key=str)
    }
    return filled(cell, values)


def influence(cell):
    """Who changes whom in one step: the inputs, then the neurons."""
    rng = np.random.default_rng(1)
    memory = jnp.asarray(rng.uniform(-1, 1, cell.memory_size))
    inputs = jnp.asarray(rng.uniform(-1, 1, cell.inputs))
    slopes = jax.jit(jax.jacobian(lambda i, m: cell(m, i, 0.7)[0], (0, 1)))(inputs, memory)
    return np.concatenate([np.asarray(slope).T for slope in slopes])


@pytest.mark.parametrize("kind", [WiredCfC, lambda w, rngs: WiredLTC(w, 1, rngs=rngs)])
def test_in_one_layer_the_table_is_what_derivatives_show(kind):
    wiring = WIRINGS["random"]
    changed = influence(shaken(kind(wiring, rngs=nnx.Rngs(0)))) != 0
    wired = connectivity(wiring).table != 0
    wired[wiring.inputs :] |= np.eye(wiring.neurons, dtype=bool)  # Everyone remembers itself.
    np.testing.assert_array_equal(changed, wired)


def test_through_layers_the_graph_is_what_derivatives_show():
    """In one step a signal passes every layer of a WiredCfC, and each layer's past once."""
    changed = influence(shaken(WiredCfC(NCP, rngs=nnx.Rngs(0)))) != 0
    net, (_, sources, targets) = graph(NCP), connectivity(NCP)
    onward = networkx.DiGraph(net.edges)
    layers = dict(net.nodes(data="layer"))
    onward.remove_edges_from([(a, b) for a, b in net.edges if layers[a] == layers[b]])
    for row, source in enumerate(sources):
        first = {b for b in net[source] if layers[b] == layers[source]}
        first |= {source} if source in targets else set()
        roots = first if source in targets else {source}
        reached = roots | set().union(*(networkx.descendants(onward, root) for root in roots))
        expected = [target in reached for target in targets]
        np.testing.assert_array_equal(changed[row], expected, err_msg=source)


@pytest.fixture(scope="module")
def ltc():
    return shaken(WiredLTC(NCP, rngs=nnx.Rngs(0)))


def test_strengths_of_an_ltc_are_its_currents_when_open(ltc):
    values, found = parameters(ltc), strengths(ltc)
    table = connectivity(NCP).table
    np.testing.assert_array_equal(found != 0, table != 0)
    listed = [
        np.log1p(np.exp(values[part, "weight"])) * np.abs(values[part, "reversal"])
        for part in ("senses", "synapses")
    ]
    np.testing.assert_allclose(found[table != 0], np.concatenate(listed), rtol=1e-12)
    edges = graph(NCP, found).edges(data="strength")
    _, sources, targets = connectivity(NCP)
    assert all(s == found[sources.index(a), targets.index(b)] for a, b, s in edges)


@pytest.mark.parametrize("compat", [None, "ncps"])
def test_a_synapse_whose_weights_are_zero_has_no_strength(compat):
    wiring = WIRINGS["random"]
    cell = shaken(WiredCfC(wiring, compat=compat, rngs=nnx.Rngs(0)))
    before = strengths(cell)
    np.testing.assert_array_equal(before != 0, connectivity(wiring).table != 0)
    source, target = np.argwhere(connectivity(wiring).table)[5]
    values = parameters(cell)
    weights = values["kernels", 0].copy().reshape(-1, 4, wiring.neurons)
    heads = weights[source, :, target].copy()
    weights[source, :, target] = 0
    values["kernels", 0] = weights.reshape(values["kernels", 0].shape)
    without = filled(cell, values)
    assert strengths(without)[source, target] == influence(without)[source, target] == 0
    assert before[source, target] == pytest.approx(np.sqrt(np.sum(heads**2)))
    others = np.ones_like(before, bool)
    others[source, target] = False
    np.testing.assert_array_equal(strengths(without)[others], before[others])


def arrows(figure: Figure) -> dict[str, FancyArrowPatch]:
    (axes,) = figure.axes
    found = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert len({arrow.get_gid() for arrow in found}) == len(found)
    return {arrow.get_gid(): arrow for arrow in found}


def ink(figure: Figure) -> float:
    """Share of the picture that is not white."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=60)
    figure.canvas.draw()
    assert file.getvalue().startswith(b"\x89PNG")
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    return float(np.mean(pixels.min(axis=-1) < 200))


@pytest.mark.parametrize("name", WIRINGS)
def test_a_drawing_has_one_arrow_a_synapse(name):
    wiring = WIRINGS[name]
    figure = draw_wiring(wiring)
    drawn = {gid: colors.to_hex(arrow.get_edgecolor()) for gid, arrow in arrows(figure).items()}
    expected = {
        f"{a} > {b}": EXCITES if polarity > 0 else INHIBITS
        for a, b, polarity in graph(wiring).edges(data="polarity")
    }
    assert drawn == expected
    assert 0.005 < ink(figure) < 0.7
    assert not Gcf.get_all_fig_managers()  # pyplot knows nothing of it.


@pytest.mark.parametrize("name", WIRINGS)
def test_a_layout_has_inputs_first_and_outputs_last(name):
    wiring = WIRINGS[name]
    places, stacks = layout(wiring), columns(wiring)
    assert sorted(places) == sorted(connectivity(wiring).sources)
    assert len(set(places.values())) == len(places)
    assert all((x == 0) == node.startswith("input") for node, (x, _) in places.items())
    outputs = {node for node, (x, _) in places.items() if x == len(stacks) - 1}
    assert outputs == {f"neuron {k}" for k in range(wiring.outputs)}


def test_columns_of_an_ncp_are_its_layers():
    assert [title for title, _ in columns(NCP)] == ["inputs", "inter", "command", "motor"]


def test_stronger_synapses_are_drawn_thicker(ltc):
    found = strengths(ltc)
    axes = Figure().add_subplot()
    figure = draw_wiring(NCP, axes, strengths=found)
    assert figure.axes == [axes]
    _, sources, targets = connectivity(NCP)
    drawn = arrows(figure)
    pairs = [(sources[a], targets[b]) for a, b in np.argwhere(connectivity(NCP).table)]
    widths = [drawn[f"{a} > {b}"].get_linewidth() for a, b in pairs]
    order = np.argsort(found[connectivity(NCP).table != 0])
    assert np.all(np.diff(np.array(widths)[order]) >= 0) and max(widths) > 2 * min(widths)


def test_a_drawn_table_has_the_table_in_it(ltc):
    found = strengths(ltc)
    for figure, expected in (
        (draw_connectivity(NCP), connectivity(NCP).table),
        (draw_connectivity(NCP, strengths=found), connectivity(NCP).table * found),
    ):
        (image,) = figure.axes[0].images
        np.testing.assert_allclose(image.get_array(), expected, rtol=1e-6)
        assert 0.01 < ink(figure) < 0.7
        names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert names == ["inputs", "motor", "command", "inter"]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ProbeError, match="known of WiredCfC, WiredLTC, got MLP"):
        strengths(MLP(2, 2, rngs=nnx.Rngs(0)))
    for wrong in (np.ones((3, 3)), np.ones(4)):
        for show in (draw_wiring, draw_connectivity):
            with pytest.raises(ProbeError, match=r"strengths: expected shape \(20, 14\), got"):
                show(NCP, strengths=wrong)
    with pytest.raises(ProbeError, match="strengths: expected finite"):
        graph(NCP, np.full((20, 14), np.nan))


def test_without_the_extra_one_sentence_names_it(monkeypatch):
    for module in ("networkx", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    for ask in (graph, draw_wiring, draw_connectivity):
        with pytest.raises(MissingExtra, match=r"needs the extra \[liquid\]"):
            ask(NCP)
