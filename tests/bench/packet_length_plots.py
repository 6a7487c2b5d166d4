"""The figures of the packet-length bench: 9 and 10 of the paper, f_p of our codec, simulation, and what is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sender.packet_length.curve import QualityCurve
from sender.packet_length.loss import SymbolErrors
from sender.packet_length.plan import Criterion, Cut, best
from tests.bench.packet_length import PAPER_HEADER, curve_of, our_cut, paper_cut
from tests.bench.plots import BLUE, GREEN, GREY, INK, ORANGE, PURPLE
from tests.bench.symbol_channel import Case

Floats = NDArray[np.float64]

LOSS_THRESHOLD, PAPER_THRESHOLD, OUR_THRESHOLD = (
    0.15,
    0.7,
    0.9,
)  # figure 9, figure 10, and one that our f_p crosses
BITS = 1  # a symbol: the paper does not say for its figures
SERS = np.logspace(-6, -3, 61)
OURS, PAPERS = (8, 16, 32, 64, 128, 255), (104, 256, 512, 1024, 2048)
DPI = 100


def draw(cases: Sequence[Case], curves: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """Writes all figures and returns their files."""
    curve = curve_of(curves)
    figures = {
        "figure-9": surfaces(None),
        "figure-10": surfaces(curve),
        "chosen": chosen(curve),
        "quality-curve": quality_curves(curves),
        "simulation": simulation(cases),
    }
    out = []
    for name, figure in figures.items():
        out.append(folder / f"{name}.png")
        figure.savefig(out[-1], dpi=DPI, metadata={"Software": None})
    return out


def surfaces(curve: QualityCurve | None) -> Figure:
    """Figure 9, or with a quality curve figure 10: over SER and number (so length) of packets."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(12, 5.6))
        settings = ((our_cut(), OURS, "our packets"), (paper_cut(2048), PAPERS, "the paper's packets"))
        for place, (cut, ticks, name) in enumerate(settings, 1):
            axes = figure.add_subplot(1, 2, place, projection="3d", computed_zorder=False)
            _surface(axes, cut, ticks, curve)
            axes.set_title(
                f"{name}: {cut.header_bytes} header bytes, units of {cut.origin_bytes} bytes", y=1.0
            )
        what = (
            "Packet loss rate"
            if curve is None
            else "MS-SSIM, f_p of our codec (the paper prints no numbers of its own)"
        )
        figure.suptitle(f"{what}, against symbol error rate and packet length, {BITS} bit a symbol", y=0.97)
        figure.subplots_adjust(left=0.0, right=0.95, bottom=0.06, top=0.9, wspace=0.06)
        return figure


def _surface(axes: Any, cut: Cut, ticks: Sequence[int], curve: QualityCurve | None) -> None:
    packets = np.unique(np.geomspace(ticks[0], ticks[-1], 60).round().astype(int))
    x, y = np.log10(SERS), np.log2(packets)
    loss = np.array([SymbolErrors(ser, BITS).packet_loss(cut.packet_bytes(packets)) for ser in SERS]).T
    z = loss if curve is None else curve.at_loss(loss)
    grid = np.meshgrid(x, y)
    style = {"rcount": 60, "ccount": 61, "linewidth": 0.1, "antialiased": True}
    axes.plot_surface(*grid, z, cmap="viridis" if curve else "viridis_r", alpha=0.85, zorder=1, **style)
    levels = [LOSS_THRESHOLD] if curve is None else [PAPER_THRESHOLD, OUR_THRESHOLD]
    for level in levels:
        _plane(axes, x, y, level)
        need = _first(z <= level if curve is None else z >= level, packets)
        if np.isfinite(need).any():
            axes.plot(
                x, np.log2(need), np.where(np.isfinite(need), level, np.nan), color=INK, lw=2.5, zorder=5
            )
    axes.set_xticks(range(-6, -2), [f"$10^{{{e}}}$" for e in range(-6, -2)])
    axes.set_yticks(np.log2(ticks), [f"{n}\n{int(cut.packet_bytes(n))} B" for n in ticks], fontsize=7)
    axes.set_xlabel("symbol error rate")
    axes.set_ylabel("packets, and length of each", labelpad=14)
    axes.set_zlabel("packet loss rate" if curve is None else "MS-SSIM")
    axes.set_zlim((0, 1) if curve is None else (0.65, 1))
    axes.view_init(elev=24, azim=-128 if curve is None else -52)


def _plane(axes: Any, x: Floats, y: Floats, level: float) -> None:
    corners = np.meshgrid([x[0], x[-1]], [y[0], y[-1]])
    axes.plot_surface(*corners, np.full((2, 2), level), color="#DD2222", alpha=0.3, zorder=2)
    axes.text(x[0], y[0], level, f" {level:g}", color="#AA0000", zorder=6)


def _first(good: NDArray[np.bool_], packets: NDArray[np.int64]) -> Floats:
    """For each column the least number of packets that is good; NaN without, or where any number is."""
    inside = good.any(0) & ~good.all(0)
    return np.where(inside, packets[good.argmax(0)], np.nan).astype(np.float64)


def chosen(curve: QualityCurve) -> Figure:
    """The black lines, for use: packet length and bytes on the wire of the cheapest plan against SER."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 10}):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        line = QualityCurve((0, 1), (0, 1))  # quality is the share itself: figure 9
        for cut, header, style in (
            (our_cut(), "57", "-"),
            (Cut(our_cut().origin_bytes, PAPER_HEADER), "49", "--"),
        ):
            for f_p, threshold, name, colour in (
                (line, 1 - LOSS_THRESHOLD, f"loss at most {LOSS_THRESHOLD:.0%}", BLUE),
                (curve, 0.95, "MS-SSIM at least 0.95", ORANGE),
                (curve, OUR_THRESHOLD, f"MS-SSIM at least {OUR_THRESHOLD:g}", GREEN),
            ):
                plans = [_plan(cut, float(ser), f_p, threshold) for ser in SERS]
                label = f"{name}, {header} B headers"
                left.plot(SERS, [p[0] for p in plans], style, color=colour, lw=2, label=label)
                right.plot(SERS, [p[1] for p in plans], style, color=colour, lw=2, label=label)
        left.set_ylabel("bytes of a packet, headers included")
        right.set_ylabel("header bytes a payload byte")
        for axes in (left, right):
            _dress(axes, "symbol error rate")
            axes.set_xscale("log")
        left.set_ylim(0, None)
        right.legend(fontsize=8, frameon=False)
        figure.suptitle(
            f"Cheapest plan for a unit of {our_cut().origin_bytes} bytes; lines end where 255 packets are too few"
        )
        return figure


def _plan(cut: Cut, ser: float, curve: QualityCurve, threshold: float) -> tuple[float, float]:
    plan = best(cut, SymbolErrors(ser, BITS), curve, threshold, Criterion.MEAN_SHARE)
    if plan.expected_quality < threshold:
        return np.nan, np.nan
    return plan.packet_bytes, plan.wire_bytes / cut.origin_bytes - 1


def quality_curves(curves: Sequence[dict[str, Any]]) -> Figure:
    """f_p of our codec at each wire rate, with standard errors over clips."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 10}):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        share = np.linspace(0, 1, 200)
        for axes, measure, name in zip(
            figure.subplots(1, 2), ("ms_ssim", "psnr"), ("MS-SSIM", "PSNR in dB"), strict=True
        ):
            for row, colour in zip(curves, (BLUE, GREEN, ORANGE, PURPLE), strict=False):
                style = {"fmt": "o", "ms": 4, "color": colour, "elinewidth": 0.8}
                axes.errorbar(row["share"], row[measure], row[f"{measure}_error"], **style)
                label = f"{row['wire_kbps']:g} kbit/s, {row['packets']} packets a unit"
                axes.plot(
                    share, curve_of(curves, measure, row["wire_kbps"])(share), color=colour, label=label
                )
            _dress(axes, "share of a unit's packets received")
            axes.set_ylabel(name)
        axes.legend(frameon=False, fontsize=9, loc="lower right")
        figure.suptitle(
            "f_p of our codec: units in which so many packets arrived, after units with any number"
        )
        return figure


def simulation(cases: Sequence[Case]) -> Figure:
    """Share that arrived against the closed form; and the deviations, in standard errors."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 10}):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        lengths = np.arange(60, 1400)
        for bits, style in ((1, "-"), (2, "--")):
            for ser, colour in zip(
                sorted({c.ser for c in cases}), (GREY, BLUE, GREEN, PURPLE, ORANGE), strict=False
            ):
                of = [c for c in cases if c.ser == ser and c.bits_per_symbol == bits]
                arrive = 1 - SymbolErrors(ser, bits).packet_loss(lengths)
                left.plot(
                    lengths, arrive, style, color=colour, lw=1, label=f"SER {ser:g}" if bits == 1 else None
                )
                points = [c.packet_bytes for c in of], [c.share_simulated for c in of]
                left.errorbar(
                    *points, [c.share_error for c in of], fmt="o" if bits == 1 else "s", ms=4, color=colour
                )
        left.set_title("lines: closed form; dashed: 2 bits a symbol", fontsize=9)
        _dress(left, "bytes of a packet, headers included")
        left.set_ylabel("share received")
        left.legend(frameon=False, fontsize=8)
        share, quality = zip(*(c.deviations for c in cases), strict=True)
        bins = np.arange(-3.25, 3.5, 0.5)
        right.hist([share, quality], bins, color=[BLUE, ORANGE], label=["share", "quality"])
        normal = np.exp(-(np.linspace(-3.2, 3.2) ** 2) / 2) / np.sqrt(2 * np.pi) * 0.5 * len(cases)
        right.plot(np.linspace(-3.2, 3.2), normal, color=INK, lw=1, label="normal distribution")
        _dress(right, "simulated mean less closed form, in standard errors")
        right.set_ylabel("cases")
        right.set_title("quality hardly varies where f_p is flat", fontsize=9)
        right.legend(frameon=False, fontsize=9)
        return figure


def _dress(axes: Axes, label: str) -> None:
    axes.set_xlabel(label)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
