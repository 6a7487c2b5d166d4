"""Quality against packet loss at equal wire rate and equal delay: python -m tests.bench.loss_sweep --clips FILE ...

Offline and exact: no sockets, a seeded i.i.d. erasure channel, every byte on the wire counted (IP and UDP 28 bytes a
packet, our header and tag; the same for the peers). The peers are ordinary codecs with an ideal erasure code of a fixed
rate. All wait for four frames before they send, so all have the same delay. Nobody knows the loss beforehand.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from common.video import Picture
from tests.bench.contestant import Contestant, Encoded
from tests.bench.protected import Protected
from tests.bench.quality import ms_ssim, pictures, psnr
from tests.bench.resilient import Resilient

FROZEN = 0.1  # mean absolute luma difference below which two pictures are the same
Row = dict[str, object]


def contestants(names: Iterable[str], code_rates: list[Fraction], keyints: list[int]) -> list[Contestant]:
    """By name: `resilient`, or an encoder (`x265`, `x264`) at each code rate and key frame interval."""
    out: list[Contestant] = []
    for name in names:
        if name == "resilient":
            out.append(Resilient())
        else:
            out += [Protected(f"lib{name}", rate, keyint) for rate in code_rates for keyint in keyints]
    return out


def frozen_share(sent: list[Picture], shown: list[Picture]) -> float:
    """Share of pictures whose samples equal those of the one before although the sent ones differ."""
    moved = [np.abs(a.astype(np.int16) - b).mean() >= FROZEN for a, b in itertools.pairwise(sent)]
    still = [np.abs(a.astype(np.int16) - b).mean() < FROZEN for a, b in itertools.pairwise(shown)]
    return float(np.mean([m and s for m, s in zip(moved, still, strict=True)]))


def measure(
    who: Contestant, clip: Path, encoded: Encoded, sent: list[Picture], loss: float, seed: int
) -> Row:
    """One row: the clip through one seeded loss."""
    rng = np.random.default_rng([seed, round(1000 * loss), zlib.crc32(clip.stem.encode())])
    arrived = [rng.random(n) >= loss for n in encoded.unit_packets]
    sent = sent[: encoded.frames]
    ways = who.decode(encoded, arrived)
    quality = [float(np.mean([psnr(a, b) for a, b in zip(sent, way, strict=True)])) for way in ways]
    shown = ways[int(np.argmax(quality))]
    return {
        "contestant": who.name,
        "clip": clip.stem,
        "loss": loss,
        "seed": seed,
        "frames": encoded.frames,
        "psnr": round(max(quality), 3),
        "ms_ssim": round(float(np.mean([ms_ssim(a, b) for a, b in zip(sent, shown, strict=True)])), 4),
        "frozen_share": round(frozen_share(sent, shown), 4),
    }


def table(rows: list[Row]) -> str:
    """Markdown: mean PSNR and MS-SSIM over clips and seeds, a line a contestant and wire rate; (!) marks a contestant
    that could not go down to the wire rate."""
    losses = sorted({float(str(r["loss"])) for r in rows})
    cells: dict[tuple[object, object], dict[float, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        cells[row["wire_kbps_target"], row["contestant"]][float(str(row["loss"]))].append(row)
    head = "| wire kbps | contestant | true kbps | " + " | ".join(f"loss {x:g}" for x in losses) + " | mean |"
    lines = [head, "|" + "---|" * (len(losses) + 4)]
    for (target, name), by_loss in cells.items():
        means = [(_mean(by_loss[x], "psnr"), _mean(by_loss[x], "ms_ssim")) for x in losses]
        true = _mean([r for x in losses for r in by_loss[x]], "wire_kbps")
        mark = "" if true <= float(str(target)) * 1.03 else " (!)"
        overall = np.mean(means, axis=0)
        values = " | ".join(f"{p:.2f} / {s:.3f}" for p, s in (*means, overall))
        lines.append(f"| {target} | {name} | {true:.1f}{mark} | {values} |")
    return "\n".join(lines)


def _mean(rows: list[Row], key: str) -> float:
    return float(np.mean([float(str(r[key])) for r in rows]))


def main() -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="video files, at their own size")
    parser.add_argument(
        "--contestants", nargs="+", default=["resilient", "x265"], help="resilient, x265, x264"
    )
    parser.add_argument(
        "--code-rates",
        type=Fraction,
        nargs="+",
        default=[Fraction(1, n) for n in (1, 2, 4)],
        help="k / n of the peers' erasure code",
    )
    parser.add_argument(
        "--keyint", type=int, nargs="+", default=[30], help="key frame intervals of the peers, frames"
    )
    parser.add_argument("--wire-kbps", type=float, nargs="+", default=[60.0])
    parser.add_argument("--loss", type=float, nargs="+", default=[0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9])
    parser.add_argument("--seeds", type=int, default=1, help="how many seeded losses (default 1)")
    parser.add_argument("--fps", type=float, default=15.0, help="frame rate that the clips are taken at")
    parser.add_argument("--out", type=Path, help="write all rows as JSON")
    args = parser.parse_args()
    rows: list[Row] = []
    jobs = [
        (c, k, w)
        for c in args.clips
        for k in args.wire_kbps
        for w in contestants(args.contestants, args.code_rates, args.keyint)
    ]
    for number, (clip, kbps, who) in enumerate(jobs):
        print(
            f"\r{number + 1}/{len(jobs)} {clip.stem} {who.name} {kbps:g} kbit/s" + " " * 20,
            end="",
            file=sys.stderr,
        )
        sent = list(pictures(clip))
        encoded = who.encode(sent, args.fps, kbps)
        true = round(encoded.wire_bytes * 8 / (encoded.frames / args.fps) / 1000, 2)
        for loss in args.loss:
            for seed in range(args.seeds):
                row = measure(who, clip, encoded, sent, loss, seed)
                rows.append({**row, "wire_kbps_target": kbps, "wire_kbps": true})
    print(file=sys.stderr)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
