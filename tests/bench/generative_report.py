"""Tables and strips of tests.bench.generative."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common.video import Picture
from tests.bench.generative_run import Found, Row

OVER = 1.02  # of the rate, above which a row is marked
HEAD = (
    "| kbit/s | | spent | PSNR | MS-SSIM | HaarPSI | VMAF | mIoU | map mIoU | warping | still | s a frame |"
)
LINE = 16  # pixels of a caption
HIDDEN = (
    *("hevc, best PSNR", "svtav1, best PSNR", "hevc, live", "svtav1, live"),
    *("texture, full", "lambda_C = 0, half", "lambda_R = 0, half"),
)
STRIP = ("source", "hevc, best HaarPSI", "svtav1, best HaarPSI", "texture (structure)")
MEASURES = (
    "wire_kbps",
    "psnr",
    "ms_ssim",
    "haarpsi",
    "vmaf",
    "miou",
    "map_miou",
    "warp",
    "frozen",
    "seconds",
)
INTRODUCTION = """# The generative decoder beside ordinary video, at a few kbit/s

`python -m tests.bench.generative` wrote this; its --help says what is compared. Table II of the paper with what can be
had. `spent` is the wire rate in kbit/s with all headers; **(over)** marks rows above the rate. Peers of the `best` rows
know no limit on their delay; `live` ones keep ours, which is told. Means over the clips of a set. mIoU: classes of the
street segmenter (camvid), or what the matte network sees move (tabletop and clips, for which there is no segmenter of
classes), in what is shown against the same in the source; the segmenter is also what makes the maps that are sent.
`map mIoU`: of the maps received, whatever the picture. `warping`: root mean square difference, 0..255, of a frame from
the one before moved as the source moves (DIS flow); a still or blurred picture has little. `still`: share of frames
that stood still while the source moved. {settings}
"""


def load(path: Path) -> list[Row]:
    """The rows in a file; none where there is none. Raises SystemExit for a file that is something else."""
    if not path.exists():
        return []
    try:
        return [Row(**one) for one in json.loads(path.read_text())["rows"]]
    except (ValueError, TypeError, KeyError) as error:
        raise SystemExit(
            f"{path}: no rows of this bench ({error}); remove it or give another folder"
        ) from None


def merged(old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """New rows in the place of old ones of the same kind."""
    return list({row.key: row for row in (*old, *new)}.values())


def write(rows: Sequence[Row], out: Path, settings: str) -> None:
    """generative.json and generative.md."""
    out.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(asdict(row)) for row in rows)
    (out / "generative.json").write_text(f'{{"settings": {json.dumps(settings)}, "rows": [\n{lines}\n]}}\n')
    (out / "generative.md").write_text(report(rows, settings))


def report(rows: Sequence[Row], settings: str = "") -> str:
    """All tables: a set and size each."""
    parts = [INTRODUCTION.format(settings=settings)]
    for group in dict.fromkeys((row.set, row.size, row.frames) for row in rows):
        own = [row for row in rows if (row.set, row.size, row.frames) == group]
        clips = list(dict.fromkeys(row.clip for row in own))
        fps = ", ".join(f"{rate:g}" for rate in sorted({row.fps for row in own}))
        parts.append(
            f"\n## {group[0]}, {group[1]} at {fps} frames/s: {', '.join(clips)}; the last {group[2]} frames\n\n"
            f"{HEAD}\n|{'---|' * (HEAD.count('|') - 1)}"
        )
        kinds = sorted(dict.fromkeys((row.kbps, row.contestant) for row in own), key=lambda kind: kind[0])
        parts += [
            _line([row for row in own if (row.kbps, row.contestant) == kind], len(clips)) for kind in kinds
        ]
    return "\n".join(parts) + "\n"


def _line(rows: Sequence[Row], clips: int) -> str:
    first = rows[0]
    cells = []
    for name in MEASURES:
        values = [value for row in rows if (value := getattr(row, name)) is not None]
        cells.append(f"{np.mean(values):.{_digits(name)}f}" if values else "")
    if any(row.kbps and row.wire_kbps > OVER * row.kbps for row in rows):
        cells[0] += " **(over)**"
    settings = list(dict.fromkeys(row.setting for row in rows if row.setting))
    name = first.contestant + (f" ({'; '.join(settings)})" if settings else "")
    if len(rows) < clips:
        name += f", {len(rows)} of {clips} clips"
    return f"| {first.kbps or '':{'g' if first.kbps else ''}} | {name} | {' | '.join(cells)} |"


def _digits(name: str) -> int:
    return {"psnr": 2, "vmaf": 1, "wire_kbps": 2, "warp": 2, "seconds": 2, "frozen": 2}.get(name, 3)


class Strips:
    """Keeps the middle picture of each contestant of a clip, and draws them: a line a rate."""

    def __init__(self, out: Path, decodings: Sequence[str]) -> None:
        self._out, self._decodings = out, decodings
        self._pictures: dict[tuple[str, str, str], dict[tuple[float, str], Found]] = {}

    def add(self, found: Found) -> None:
        """One more."""
        row = found.row
        of_clip = self._pictures.setdefault((row.set, row.clip, row.size), {})
        of_clip[row.kbps, row.contestant] = found

    def draw(self) -> list[Path]:
        """strip-SET-CLIP-SIZE.jpg of each clip."""
        paths = []
        for (set_, clip, size), found in self._pictures.items():
            names = dict.fromkeys([*STRIP, *self._decodings, *dict.fromkeys(name for _, name in found)])
            names = {name: None for name in names if name not in HIDDEN}
            lines = [
                [
                    _cell(one, kbps)
                    for name in names
                    if (one := found.get((kbps, name)) or found.get((0.0, name)))
                ]
                for kbps in sorted({kbps for kbps, _ in found if kbps})
            ]
            if lines:
                path = self._out / f"strip-{set_}-{clip}-{size}.jpg"
                cv2.imwrite(str(path), _grid(lines), [cv2.IMWRITE_JPEG_QUALITY, 85])
                paths.append(path)
        return paths


def _grid(lines: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Cells of one size, white where a line is shorter."""
    blank = np.full_like(lines[0][0], 255)
    width = max(map(len, lines))
    return np.vstack([np.hstack([*line, *[blank] * (width - len(line))]) for line in lines])


def _cell(found: Found, kbps: float) -> NDArray[np.uint8]:
    """A captioned picture, BGR."""
    picture, row = _bgr(found.picture), found.row
    head = np.full((LINE, picture.shape[1], 3), 255, np.uint8)
    told = f"{row.contestant[:30]} {row.haarpsi:.3f}" if row.kbps else f"{row.contestant}, at {kbps:g} kbit/s"
    cv2.putText(head, told, (2, LINE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.34, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack((head, picture))


def _bgr(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_YUV2BGR_I420), np.uint8)
