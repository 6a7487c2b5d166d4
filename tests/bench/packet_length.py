"""Packet length: the closed forms of sender/packet_length against a simulation, f_p of our codec, and the figures.

After section III of "Conquering High Packet-Loss Erasure" (L. Teng et al.). Segments are sealed, sent through a channel
of independent symbol errors and opened again; the share that arrives and its quality are compared with eqs. (1) to (6).
With --clips the quality curve f_p is measured anew from the shipped codec, else it is read from the results.
With --live the whole sender is played on links that lose long packets and links that do not (packet_length_live.py):
live.md and live.json, exit code 1 where a payload limit ends otherwise than it must.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from sender.packet_length.curve import QualityCurve
from sender.packet_length.loss import SymbolErrors
from sender.packet_length.plan import Cut
from tests.bench.symbol_channel import Case, Framed, Framing, Sealed, simulate

RESULTS = Path(__file__).parent / "results" / "packet-length"
CURVES, CASES = "quality-curve.json", "simulation.json"
PAPER_HEADER, PAPER_ORIGIN = 49, 155_520  # bytes: section V.A.1
OUR_ORIGIN = 8400  # bytes of a unit at about 250 kbit/s
KBPS = (60.0, 120.0, 250.0, 400.0)
FIGURE_KBPS = 250.0  # whose curve the simulation and the figures take
SERS = (1e-6, 1e-5, 3e-5, 1e-4, 3e-4)


def paper_cut(max_packets: int = 2**16, max_payload: int = PAPER_ORIGIN) -> Cut:
    """The unit and headers of the paper, whose segment label has two bytes."""
    return Cut(PAPER_ORIGIN, PAPER_HEADER, max_payload, max_packets)


def our_cut() -> Cut:
    """A unit of ours in packets of ours."""
    return Cut(OUR_ORIGIN)


def load_curves(path: Path) -> list[dict[str, Any]]:
    """The measured curves. Raises ValueError where the file has none."""
    try:
        curves = json.loads(path.read_text())["curves"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: no quality curves ({error})") from error
    if not isinstance(curves, list) or not curves:
        raise ValueError(f"{path}: no quality curves")
    return curves


def curve_of(
    curves: Sequence[dict[str, Any]], measure: str = "ms_ssim", kbps: float = FIGURE_KBPS
) -> QualityCurve:
    """f_p at one of the wire rates; the nearest one measured."""
    row = min(curves, key=lambda row: abs(row["wire_kbps"] - kbps))
    return QualityCurve.fit(row["share"], row[measure])


def cases(curve: QualityCurve, units: int, seed: int) -> list[Case]:
    """Our packets and the paper's over SERS, for one and for two bits a symbol."""
    out = []
    ours, paper = our_cut(), paper_cut()
    for number, (ser, packets) in enumerate(product(SERS, (8, 28, 120))):
        errors, framing = SymbolErrors(ser, 1 + number % 2), Sealed()
        out.append(simulate(ours, packets, errors, curve, framing, units, seed + 10 * number))
    for number, (ser, packets) in enumerate(product(SERS, (120, 480))):
        link: Framing = Framed(PAPER_HEADER)
        errors = SymbolErrors(ser, 1 + number % 2)
        out.append(simulate(paper, packets, errors, curve, link, max(1, units // 10), seed + 10 * number + 5))
    return out


def summary(all_cases: Sequence[Case]) -> dict[str, float]:
    """The largest deviations of the simulation from the closed forms."""
    shares, qualities = zip(*(case.deviations for case in all_cases), strict=True)
    return {
        "share_largest": max(abs(c.share_simulated - c.share) for c in all_cases),
        "share_largest_in_standard_errors": max(map(abs, shares)),
        "quality_largest": max(abs(c.quality_simulated - c.quality) for c in all_cases),
        "quality_largest_in_standard_errors": max(map(abs, qualities)),
        "quality_of_mean_share_largest": max(abs(c.quality_of_mean_share - c.quality) for c in all_cases),
    }


def measure_curves(clips: Sequence[Path], frames: int, seed: int, about: str) -> dict[str, Any]:
    """Of each wire rate, with what they were measured from."""
    from tests.bench.share_curve import measure  # needs the codec's libraries; the figures do not

    curves = [measure(clips, kbps, frames, seed) for kbps in KBPS]
    return {
        "about": about,
        "clips": [clip.stem for clip in clips],
        "frames": frames,
        "seed": seed,
        "curves": curves,
    }


def table(all_cases: Sequence[Case]) -> str:
    """The cases as text."""
    head = f"{'H':>3} {'M':>1} {'SER':>7} {'N':>4} {'bytes':>5} | {'share':>6} {'simul.':>6} {'dev/se':>6} |"
    lines = [head + f" {'f_p':>6} {'simul.':>6} {'dev/se':>6} {'f(mean)':>7}"]
    for c in all_cases:
        share, quality = c.deviations
        lines.append(
            f"{c.header_bytes:>3} {c.bits_per_symbol} {c.ser:>7.0e} {c.packets:>4} {c.packet_bytes:>5} |"
            f" {c.share:6.4f} {c.share_simulated:6.4f} {share:6.2f} |"
            f" {c.quality:6.4f} {c.quality_simulated:6.4f} {quality:6.2f} {c.quality_of_mean_share:7.4f}"
        )
    return "\n".join(lines)


def _save(path: Path, content: dict[str, Any]) -> None:
    """JSON with a line for each value of the first two levels."""
    text = json.dumps(content, indent=1)
    short = [json.dumps(item) for key in ("cases", "curves") for item in content.get(key, [])]
    if short:
        key = "cases" if "cases" in content else "curves"
        rest = {name: value for name, value in content.items() if name != key}
        text = json.dumps(rest, indent=1)[:-2] + f',\n "{key}": [\n  ' + ",\n  ".join(short) + "\n ]\n}"
    path.write_text(text + "\n")


def _live(out: Path, seeds: int, seconds: float) -> int:
    from tests.bench.packet_length_live import SETTLED_S, rows, table

    if seeds < 1 or seconds < SETTLED_S + 30:
        raise ValueError(f"--seeds: at least 1; --seconds: at least {SETTLED_S + 30:g}")
    played = rows(range(1, seeds + 1), seconds)
    print(table(played))
    (out / "live.md").write_text(table(played) + "\n")
    results = [
        {"link": row.link.key, "limits": [row.link.least, row.link.most]}
        | {
            name: [asdict(run) for run in runs]
            for name, runs in (("adapting", row.adapting), ("fixed", row.fixed))
        }
        for row in played
    ]
    _save(out / "live.json", {"seconds": seconds, "cases": results})
    return int(any(row.passed < len(row.adapting) for row in played))


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.packet_length", description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="simulation.json, curves, pictures"
    )
    parser.add_argument("--plot", action="store_true", help="draw the figures, too")
    parser.add_argument("--clips", type=Path, nargs="+", metavar="FILE", help="measure f_p from these")
    parser.add_argument("--frames", type=int, default=40, help="of each clip (default: 40)")
    parser.add_argument("--units", type=int, default=400, help="simulated a case (default: 400)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--live", action="store_true", help="play the sender on links instead")
    parser.add_argument("--seeds", type=int, default=3, help="of each link, with --live (default: 3)")
    parser.add_argument(
        "--seconds", type=float, default=180.0, help="of each run, with --live (default: 180)"
    )
    args = parser.parse_args(argv)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        if args.live:
            return _live(args.out, args.seeds, args.seconds)
        if args.units < 1 or args.frames < 8:
            raise ValueError("--units: at least 1; --frames: at least 8")
        if args.clips:
            text = "quality by share of a unit's packets received; standard errors over clips; 256x256, 15 frames/s"
            _save(args.out / CURVES, measure_curves(args.clips, args.frames, args.seed, text))
        curves = load_curves(args.out / CURVES if (args.out / CURVES).exists() else RESULTS / CURVES)
    except (ValueError, OSError) as error:
        print(f"packet_length: {error}", file=sys.stderr)
        return 1
    done = cases(curve_of(curves), args.units, args.seed)
    largest = {name: round(value, 5) for name, value in summary(done).items()}
    rows = [{k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(c).items()} for c in done]
    _save(args.out / CASES, {"seed": args.seed, "largest": largest, "cases": rows})
    print(table(done))
    print(json.dumps(largest, indent=1))
    if args.plot:
        from tests.bench.packet_length_plots import draw

        print("\n".join(str(path) for path in draw(done, curves, args.out)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
