"""The packet-length bench: the channel and its checks, the closed forms, the curve of the codec, files and figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sender.packet_length.curve import QualityCurve
from sender.packet_length.loss import SymbolErrors
from sender.packet_length.plan import Criterion, Cut, choose
from tests.bench import packet_length, packet_length_plots
from tests.bench.packet_length import CASES, CURVES, RESULTS, curve_of, load_curves
from tests.bench.share_curve import SIDE, encode, passes, samples
from tests.bench.symbol_channel import Framed, Sealed, SymbolChannel, simulate
from tests.bench.test_loss_sweep import scene

STEEP = QualityCurve((0, 0.4, 1), (0.1, 0.6, 1))
CONVEX = QualityCurve((0, 0.8, 1), (0, 0.2, 1))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_channel_changes_whole_symbols_at_its_rate(bits: int) -> None:
    channel = SymbolChannel(SymbolErrors(0.02, bits), 7)
    frame = np.random.default_rng(1).bytes(50_000)
    both = [
        np.unpackbits(np.frombuffer(x, np.uint8)).reshape(-1, bits) for x in (frame, channel.transmit(frame))
    ]
    wrong = (both[0] != both[1]).any(1)
    assert wrong.mean() == pytest.approx(0.02, abs=4 * (0.02 / len(wrong)) ** 0.5)
    assert SymbolChannel(SymbolErrors(0, bits), 7).transmit(frame) == frame
    all_wrong = SymbolChannel(SymbolErrors(1, bits), 7).transmit(b"\0" * 100)
    assert np.unpackbits(np.frombuffer(all_wrong, np.uint8)).reshape(-1, bits).any(1).all()


def test_symbols_that_do_not_fill_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="bits_per_symbol"):
        SymbolChannel(SymbolErrors(0.1, 6), 1)


@pytest.mark.parametrize("framing", [Sealed(), Framed(49)])
def test_one_wrong_bit_anywhere_costs_the_packet(framing: Sealed | Framed) -> None:
    payloads = [b"abc", b"def"]
    for unit, bit in enumerate(range(0, 8 * (framing.header_bytes + 3), 7)):
        packets = framing.send(unit, payloads)
        assert {len(packet) for packet in packets} == {framing.header_bytes + 3}
        damaged = bytearray(packets[0])
        damaged[bit // 8] ^= 1 << bit % 8
        assert framing.receive(unit, [bytes(damaged), packets[1]]) == [None, b"def"]


@pytest.mark.parametrize("curve", [STEEP, CONVEX])
@pytest.mark.parametrize(("bits", "ser", "packets"), [(1, 1e-4, 6), (2, 5e-4, 30), (4, 1e-5, 1)])
def test_simulation_and_closed_form_agree(curve: QualityCurve, bits: int, ser: float, packets: int) -> None:
    cut = Cut(1200, max_payload=1400)
    case = simulate(cut, packets, SymbolErrors(ser, bits), curve, Sealed(), 300, 11)
    assert max(map(abs, case.deviations)) < 3.5
    assert 0 < case.share_error < 0.03 and case.quality_error > 0


def test_the_simulation_would_see_a_wrong_model() -> None:
    """Against the closed form of headers that are forgotten it is off by many standard errors."""
    cut = Cut(1200)
    case = simulate(cut, 30, SymbolErrors(5e-4), STEEP, Sealed(), 300, 11)
    without = 1 - float(SymbolErrors(5e-4).packet_loss(1200 // 30))
    assert abs(case.share_simulated - without) > 10 * case.share_error


def test_a_plan_keeps_its_threshold_in_the_simulation() -> None:
    cut, errors = Cut(2400), SymbolErrors(3e-4)
    plan = choose(cut, errors, STEEP, 0.7, Criterion.EXPECTED)
    packets = next(
        n for n in range(plan.packets, 256) if 2400 % n == 0
    )  # the simulation wants equal segments
    case = simulate(cut, packets, errors, STEEP, Sealed(), 300, 5)
    assert case.quality_simulated > 0.7 - 3.5 * case.quality_error
    fewer = next(n for n in range(plan.packets - 1, 0, -1) if 2400 % n == 0)
    worse = simulate(cut, fewer, errors, STEEP, Sealed(), 300, 5)
    assert worse.quality_simulated < 0.7 + 3.5 * worse.quality_error


def test_what_cannot_be_simulated() -> None:
    with pytest.raises(ValueError, match="must agree"):
        simulate(Cut(1200), 7, SymbolErrors(0.1), STEEP, Sealed(), 1, 1)
    with pytest.raises(ValueError, match="must agree"):
        simulate(Cut(1200), 6, SymbolErrors(0.1), STEEP, Framed(49), 1, 1)
    with pytest.raises(ValueError, match="header_bytes"):
        Framed(3)


def test_over_the_passes_each_unit_meets_each_number_once() -> None:
    turns = list(passes(5, 3, np.random.default_rng(1)))
    received = np.array([[int(unit.sum()) for unit in turn] for turn in turns])
    assert (received[:, 0] == 3).all()
    assert all(sorted(column) == [0, 1, 2, 3] for column in received[:, 1:].T)


def test_the_codecs_curve_is_measured() -> None:
    pictures = scene(12, SIDE)
    packets, quality = samples(pictures, 120, 1)
    assert packets == len(encode(pictures, 120)[0].payloads) == 3
    assert quality.shape == (2, 4, 2)
    assert (quality[..., 0] > 0).all() and (quality[..., 0] <= 1).all()
    means = quality.mean(0)
    assert means[3, 1] >= means[1, 1] > means[0, 1]  # all of it is better than a part, and that than nothing


def test_the_results_are_whole() -> None:
    curves = load_curves(RESULTS / CURVES)
    for row in curves:
        assert row["share"][0] == 0 and row["share"][-1] == 1 and len(row["share"]) == row["packets"] + 1
        f_p = curve_of(curves, "ms_ssim", row["wire_kbps"])
        assert f_p(row["share"]) == pytest.approx(row["ms_ssim"], abs=0.005)  # made monotone, hardly moved
    largest = json.loads((RESULTS / CASES).read_text())["largest"]
    assert largest["share_largest_in_standard_errors"] < 3.5
    assert largest["quality_largest_in_standard_errors"] < 3.5


def test_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packet_length, "SERS", (1e-6, 3e-4))
    assert packet_length.main(["--out", str(tmp_path), "--units", "2", "--plot"]) == 0
    said = json.loads((tmp_path / CASES).read_text())
    assert len(said["cases"]) == 10
    again = tmp_path / "again"
    assert packet_length.main(["--out", str(again), "--units", "2"]) == 0
    assert (again / CASES).read_bytes() == (tmp_path / CASES).read_bytes()
    names = ["chosen", "figure-10", "figure-9", "quality-curve", "simulation"]
    assert sorted(path.stem for path in tmp_path.glob("*.png")) == names
    capsys.readouterr()
    (tmp_path / CURVES).write_text("[]")
    assert packet_length.main(["--out", str(tmp_path)]) == 1
    assert "no quality curves" in capsys.readouterr().err
    assert packet_length.main(["--out", str(again), "--units", "0"]) == 1


def test_the_black_line_is_where_the_plane_cuts_the_surface() -> None:
    packets = np.array([1, 2, 4, 8])
    good = np.array([[False, True, False], [False, True, True], [False, True, True], [False, True, True]])
    assert packet_length_plots._first(good, packets) == pytest.approx([np.nan, np.nan, 2], nan_ok=True)
