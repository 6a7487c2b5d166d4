"""The network: shapes, what it shows untrained, causal, streaming equals batch, the same as its exported graph."""

from __future__ import annotations

from dataclasses import fields, replace
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.codec.compose import FACTS
from common.codec.header import FRAMES
from common.codec.weights import load_model
from common.models.blocks import Block, stack
from common.models.fusion import SITE, Fusion, FusionConfig
from common.models.graphs import GRAPHS
from common.runtime import base as runtime
from common.training.export import write_graph

TINY = FusionConfig(width=8, depth=2, kernel=3)
H, W = 32, 48


def fusion(trained: bool, config: FusionConfig = TINY) -> Fusion:
    """As it is built, or as if it had learnt something."""
    torch.manual_seed(0)
    network = Fusion(config).eval()
    if trained:
        nn.init.normal_(network.leave.weight, std=0.05)
    return network


def inputs(seed: int = 1, batch: int = 1, height: int = H, width: int = W) -> list[Tensor]:
    """Random ones, in the order of `forward`."""
    torch.manual_seed(seed)
    half = height // 2, width // 2
    shapes = (
        (batch, FRAMES, height, width),
        (batch, FRAMES, 2, *half),
        (batch, 1, height, width),
        (batch, FACTS),
        (batch, 1, height, width),
        (batch, 2, *half),
        (batch, 1, height, width),
        (batch, 2, *half),
    )
    return [torch.rand(shape) * 2 - 1 for shape in shapes]


@torch.inference_mode()
def run(network: Fusion, units: list[list[Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """What is shown of units in a row; the last two pictures of one are the state of the next."""
    state = units[0][4:]
    shown = []
    for unit in units:
        luma, chroma = network(*unit[:4], *state)
        state = [luma[:, -1:], chroma[:, -1], luma[:, -2:-1], chroma[:, -2]]
        shown.append((luma, chroma))
    return shown


@pytest.mark.parametrize("size", [(16, 16), (48, 80), (96, 64)])
def test_shapes_are_those_of_the_draft(size: tuple[int, int]) -> None:
    given = inputs(batch=2, height=size[0], width=size[1])
    luma, chroma = run(fusion(True), [given])[0]
    assert luma.shape == given[0].shape
    assert chroma.shape == given[1].shape


def test_untrained_and_with_nothing_new_it_shows_the_last_picture() -> None:
    """Exactly: whatever is learnt starts from holding the picture."""
    luma, chroma, spread, facts, last, last_chroma, *before = inputs()
    luma, chroma = last.expand_as(luma), last_chroma[:, None].expand_as(chroma)
    shown, colour = run(fusion(False), [[luma, chroma, 0 * spread, 0 * facts, last, last_chroma, *before]])[0]
    assert torch.equal(shown, luma)
    assert torch.equal(colour, chroma)


def test_untrained_it_leans_to_the_last_picture_a_little() -> None:
    """Alike in luma and chroma, all over the picture and in all pictures."""
    luma, chroma, spread, facts, last, last_chroma, *before = inputs()
    shown, colour = run(fusion(False), [[luma, chroma, spread, facts, last, last_chroma, *before]])[0]
    lean = torch.sigmoid(torch.tensor(-3.0))
    torch.testing.assert_close(shown, luma + lean * (last - luma))
    torch.testing.assert_close(colour, chroma + lean * (last_chroma[:, None] - chroma))


def test_each_colour_and_picture_leans_to_its_own() -> None:
    """Leaning wholly, with colours and pictures that differ: nothing is mixed up on the way through the sites."""
    network = fusion(False)
    assert network.leave.bias is not None
    nn.init.constant_(network.leave.bias[-FRAMES:], 30.0)
    luma, chroma, spread, facts, last, last_chroma, *before = inputs()
    shown, colour = run(network, [[luma, chroma, spread, facts, last, last_chroma, *before]])[0]
    torch.testing.assert_close(shown, last.expand_as(luma))
    torch.testing.assert_close(colour, last_chroma[:, None].expand_as(chroma))
    nn.init.constant_(network.leave.bias[-FRAMES:-1], -30.0)  # all but the last picture
    shown, colour = run(network, [[luma, chroma, spread, facts, last, last_chroma, *before]])[0]
    torch.testing.assert_close(shown[:, :-1], luma[:, :-1])
    torch.testing.assert_close(colour[:, :-1], chroma[:, :-1])
    torch.testing.assert_close(shown[:, -1:], last)


def test_corrections_are_put_where_they_belong() -> None:
    """A correction of one sample of a site in one picture is there in every site, and nowhere else."""
    network = fusion(False)
    square = SITE * SITE
    assert network.leave.bias is not None
    with torch.no_grad():
        network.leave.bias[FRAMES * square * 3 // 2 :] = -30.0
        network.leave.bias[2 * square + SITE + 3] = 1.0  # picture 2, row 1, column 3
        network.leave.bias[FRAMES * square + (2 * 3 + 1) * square // 4] = 2.0  # second colour of picture 3
    given = inputs()
    shown, colour = run(network, [given])[0]
    luma, chroma = torch.zeros_like(shown), torch.zeros_like(colour)
    luma[:, 2, 1::SITE, 3::SITE] = 1.0
    chroma[:, 3, 1, :: SITE // 2, :: SITE // 2] = 2.0
    torch.testing.assert_close(shown - given[0], luma)
    torch.testing.assert_close(colour - given[1], chroma)


def test_it_is_causal() -> None:
    """Later units do not change what was shown of earlier ones; earlier ones change later ones through the state."""
    network, units = fusion(True), [inputs(seed) for seed in range(6)]
    before = run(network, units)
    later = run(network, [*units[:4], *(inputs(seed + 50) for seed in range(2))])
    earlier = run(network, [inputs(99), *units[1:]])
    for index in range(4):
        assert torch.equal(before[index][0], later[index][0])
    assert not torch.equal(before[4][0], later[4][0])
    assert not torch.equal(before[1][0], earlier[1][0])


def test_streaming_equals_batch() -> None:
    """Two sequences in one batch, and each alone, unit by unit."""
    network, pair = fusion(True), [inputs(seed, batch=2) for seed in range(5)]
    together = run(network, pair)
    for row in range(2):
        alone = run(network, [[tensor[row : row + 1] for tensor in unit] for unit in pair])
        for (luma, chroma), (one, colour) in zip(together, alone, strict=True):
            torch.testing.assert_close(luma[row : row + 1], one, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(chroma[row : row + 1], colour, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("number", range(8), ids=GRAPHS["fusion"].inputs)
def test_every_input_counts(number: int) -> None:
    network, given = fusion(True), inputs()
    changed = list(given)
    changed[number] = -changed[number]
    assert not torch.equal(run(network, [given])[0][0], run(network, [changed])[0][0])


def test_what_happens_far_away_changes_nothing() -> None:
    """The network sees as far as its kernels reach: a lost corner stays in its corner, and any size is one."""
    network = fusion(True)
    given = inputs(height=96, width=96)
    changed = [tensor.clone() for tensor in given]
    for tensor in (*changed[:2], *changed[4:]):
        tensor[..., :8, :8] += 1
    reach = (TINY.depth * (TINY.kernel // 2) + 1) * SITE + 16
    one, other = (run(network, [unit])[0][0] for unit in (given, changed))
    assert torch.equal(one[..., reach:, :], other[..., reach:, :])
    assert not torch.equal(one, other)


def test_graphs_name_the_networks_inputs_in_order() -> None:
    for spec in GRAPHS.values():
        network = spec.build(TINY)
        assert tuple(signature(network.forward).parameters) == spec.inputs
    assert GRAPHS["fusion"].build is Fusion
    assert len(GRAPHS["fusion"].outputs) == len(run(fusion(True), [inputs()])[0])


def test_the_network_takes_what_the_codec_gives() -> None:
    config = FusionConfig()
    assert (config.frames, config.facts) == (FRAMES, FACTS)
    assert {field.name for field in fields(FusionConfig)} == {"frames", "facts", "width", "depth", "kernel"}


def agree(one: runtime.Network, other: runtime.Network, sizes: list[tuple[int, int]]) -> None:
    """What two backends show of the same, at several sizes in a row."""
    for height, width in sizes:
        given = dict(zip(GRAPHS["fusion"].inputs, inputs(7, 1, height, width), strict=True))
        arrays = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in given.items()}
        left, right = one.run(arrays), other.run(arrays)
        assert set(left) == set(right) == set(GRAPHS["fusion"].outputs)
        for name in left:
            assert left[name].shape == right[name].shape
            assert np.abs(left[name] - right[name]).max() < 2e-3, name


def test_the_shipped_graph_agrees_with_torch() -> None:
    """At sizes that it was not traced with."""
    graph = load_model("resilient").graph("fusion")
    agree(runtime.load(graph, "onnxruntime"), runtime.load(graph, "torch"), [(48, 80), (16, 16), (96, 128)])


def test_a_graph_exported_now_agrees_with_torch(tmp_path: Path) -> None:
    """Of another size of network."""
    config = replace(TINY, width=12, kernel=5)
    network = fusion(True, config)
    write_graph(network, config, tmp_path)
    given = inputs(3, height=64, width=32)
    shown, colour = run(network, [given])[0]
    arrays = {name: t.numpy() for name, t in zip(GRAPHS["fusion"].inputs, given, strict=True)}
    out = runtime.load(tmp_path / "fusion.onnx").run(arrays)
    assert np.abs(out["shown"] - shown.numpy()).max() < 1e-4
    assert np.abs(out["shown_chroma"] - colour.numpy()).max() < 1e-4


@pytest.mark.parametrize("kernel", [3, 5])
def test_blocks_keep_their_shape_and_start_near_the_identity(kernel: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 8, 12, 20)
    with torch.inference_mode():
        out = Block(8, kernel)(x)
        assert stack(3, 8, kernel)(x).shape == x.shape
    assert (out - x).std() < 0.5 * x.std()
    assert not torch.equal(out, x)
