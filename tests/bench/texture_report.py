"""Tables and pictures of tests.bench.texture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from common.codec.texture.encoder import unit_frames
from common.codec.texture.scaling import shrink
from common.video import picture_size
from tests.bench.quality import rgb
from tests.bench.texture_peers import COARSE, contestants, smaller

if TYPE_CHECKING:
    from tests.bench.texture import Clip

MEASURES = (
    ("psnr", "PSNR at a quarter of each side", 2),
    ("haarpsi", "HaarPSI at a quarter of each side", 3),
    ("psnr_large", "PSNR, upscaled", 2),
    ("ms_ssim_large", "MS-SSIM, upscaled", 3),
    ("haarpsi_large", "HaarPSI, upscaled", 3),
)
OURS, CHOSEN = "texture", "as sent"
TOLERANCE = 1.03  # of the rate
STRIP_RATES = (1.0, 4.0)
STRIP_LOSSES = (0.0, 0.5)


def report(rows: Sequence[dict[str, Any]]) -> str:
    """A table a measure: by rate and contestant, means over the clips; ours at either size, and as its sender chooses
    for each clip; of the others the setting whose mean over the losses is best. What misses the rate on a clip is
    marked."""
    losses = sorted({row["loss"] for row in rows})
    head = "".join(f" {loss:g} |" for loss in losses)
    out = ["# Small pictures at a few kbit/s\n"]
    for key, title, digits in MEASURES:
        out.append(f"\n## {title}\n\n| kbit/s | who |{head} mean |\n|---|---|{'---:|' * (len(losses) + 1)}")
        for kbps in sorted({row["kbps"] for row in rows}):
            for name, setting, values, over in _best(rows, kbps, key, losses):
                label = f"{name} ({setting})" if setting else name
                cells = "".join(f" {value:.{digits}f} |" for value in (*values, float(np.mean(values))))
                out.append(f"| {kbps:g} | {label}{' *' if over else ''} |{cells}")
    out.append(
        "\n`as sent`: each clip at the size that the sender chooses for the rate. `half size` is a quarter where a "
        "unit of it would be too large.\n\n`*`: above the rate on some clip, since it cannot go down to it.\n"
    )
    return "\n".join(out) + _times(rows)


def _best(
    rows: Sequence[dict[str, Any]], kbps: float, key: str, losses: Sequence[float]
) -> list[tuple[str, str, list[float], bool]]:
    found: dict[tuple[str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    over: set[tuple[str, str]] = set()
    for row in rows:
        if row["kbps"] != kbps:
            continue
        labels = [row["setting"]]
        if row["contestant"] == OURS and row["usual"]:
            labels.append(CHOSEN)
        for setting in labels:
            who = row["contestant"], setting
            found[who][row["loss"]].append(row[key])
            if row["wire_kbps"] > TOLERANCE * kbps:
                over.add(who)
    means = {who: [float(np.mean(values[loss])) for loss in losses] for who, values in found.items()}
    out = []
    for name in dict.fromkeys(who[0] for who in means):
        settings = [who for who in means if who[0] == name]
        if name == OURS:
            out += [(*who, means[who], who in over) for who in settings]
            continue
        allowed = [who for who in settings if who not in over] or settings
        best = max(allowed, key=lambda who: float(np.mean(means[who])))
        out.append((*best, means[best], best in over))
    return out


def _times(rows: Sequence[dict[str, Any]]) -> str:
    out = []
    ours = [row for row in rows if row["contestant"] == OURS]
    for setting in sorted({row["setting"] for row in ours}):
        these = [row for row in ours if row["setting"] == setting]
        encode, decode = (np.mean([row[key] for row in these]) for key in ("encode_ms", "decode_ms"))
        worst = max(row["encode_ms"] for row in these)
        out.append(
            f"\nCPU time a picture, one thread, `{OURS}`, {setting}: {encode:.1f} ms to encode ({worst:.1f} on the "
            f"slowest clip), {decode:.1f} ms to decode.\n"
        )
    return "".join(out)


def strip(clips: Sequence[Clip], path: Path) -> None:
    """The middle picture of a few clips: as it is, and from ours and the peers."""
    from tests.bench.texture import masks_of

    chosen = [
        clips[i] for i in sorted({0, len(clips) // 3, len(clips) - 3, len(clips) - 1}) if 0 <= i < len(clips)
    ]
    who = [key for key in contestants() if not key[1].startswith("4") and not key[1].endswith("1/2")]
    columns = 1 + len(who)
    lines = [(one, kbps, loss) for one in chosen for kbps in STRIP_RATES for loss in STRIP_LOSSES]
    figure = Figure(figsize=(1.5 * columns, 1.6 * len(lines)), dpi=70, layout="constrained")
    axes = figure.subplots(len(lines), columns, squeeze=False)
    for row, (one, kbps, loss) in zip(axes, lines, strict=True):
        frames = unit_frames(one.fps, kbps)
        units = [one.pictures[i : i + frames] for i in range(0, len(one.pictures) - frames + 1, frames)]
        middle = len(units) * frames // 2
        shown = [shrink(one.pictures[middle], *smaller(picture_size(one.pictures[0]), COARSE))]
        for key in who:
            coded = contestants()[key](units, one.fps, kbps * 125 * frames / one.fps)
            shown.append(coded.shown(masks_of(coded, loss, one.name))[middle])
        for axis, picture, label in zip(row, shown, ["sent", *(" ".join(key) for key in who)], strict=True):
            axis.imshow(rgb(picture).transpose(1, 2, 0) / 255)
            axis.set_title(label.replace(" of a unit", ""), fontsize=6)
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(f"{one.name}\n{kbps:g} kbit/s, loss {loss:g}", fontsize=6)
    figure.savefig(path)
