from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from common.runtime.base import BackendError
from common.values import Size
from common.video import Picture, blank, picture_size, to_video_frame
from tests.bench import speed
from tests.bench.macs import Macs, MacsError
from tests.bench.racers import Cost, Entry, Lap, Racer, entries, kbps_of, memory_mib
from tests.bench.standings import WARM_UP, markdown, race, standings, standings_table, targets_table

SMALL = Size(64, 64)
OURS, X265 = Entry("resilient", "onnxruntime", 1), Entry("x265", "", 1)


class Fake:
    """Takes `ms` for each of 4 pictures, ten times as long while it warms up."""

    def __init__(self, name: str, ms: float, order: list[str]) -> None:
        self._name, self._ms, self._order = name, ms, order

    def lap(self, unit: int, video: Sequence[Picture]) -> Lap:
        self._order.append(self._name)
        ms = self._ms * (10 if unit < WARM_UP else 1)
        return Lap(4, Cost(4 * ms / 1000, 2 * ms / 1000), Cost(8 * ms / 1000, 4 * ms / 1000), 1000, {})

    def close(self) -> None: ...


def test_everyone_takes_turns_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []
    racers: dict[Entry, Racer] = {OURS: Fake("a", 6.0, order), X265: Fake("b", 3.0, order)}
    laps = race(racers, [], rounds=3)
    assert [sorted(order[k : k + 2]) for k in range(0, 10, 2)] == [["a", "b"]] * 5
    assert order[::2] not in (["a"] * 5, ["b"] * 5)  # not one that always goes first
    [ours, peer] = standings(Size(256, 256), 15.0, laps, {OURS: 50.0, X265: 20.0})
    assert (ours.encode_ms, ours.decode_ms) == pytest.approx((6.0, 12.0))
    assert (ours.encode_cpu_ms, ours.decode_cpu_ms) == pytest.approx((3.0, 6.0))
    assert ours.over_wall["x265"] == ours.over_cpu["x265"] == pytest.approx((2.0, 2.0))
    assert peer.over_wall["x265"] == (1.0, 1.0)
    assert ours.kbps == pytest.approx(1000 * 8 * 15 / 4 / 1000)
    assert "6.0 (3.0)" in standings_table([ours, peer])
    verdicts = targets_table([ours, peer])
    assert "6.0 ms, met, 18 % of a core" in verdicts and "12.0 ms, met" in verdicts and "x265" not in verdicts


def test_nobody_may_be_there() -> None:
    assert race({}, [], rounds=1) == {}
    assert targets_table([]) == ""


def test_a_table_is_aligned() -> None:
    assert markdown(["", "n"], [["long name", "7"]]).splitlines() == [
        "|           |   n |",
        "| --------- | --: |",
        "| long name |   7 |",
    ]


@pytest.mark.parametrize("entry", [OURS, *(e for e in entries([1]) if not e.backend)], ids=str)
def test_a_lap_codes_and_shows_a_unit_at_the_rate(entry: Entry) -> None:
    size = Size(128, 96)
    pictures = speed.video(None, size, 15.0, 48)
    racer = entry.racer(size, 15.0)
    laps = [racer.lap(unit, pictures) for unit in range(15)]  # three more than there are pictures for
    racer.close()
    assert all(lap.frames == 4 and lap.encode.wall > 0 and lap.decode.wall > 0 for lap in laps)
    settled = laps[3:]  # after the peers' key frame
    kbps = sum(lap.wire_bytes for lap in settled) * 8 * 15 / (4 * len(settled)) / 1000
    assert kbps == pytest.approx(kbps_of(size), rel=0.5)


def test_memory_is_that_of_the_entry_alone() -> None:
    ballast = np.ones(1 << 25)  # 256 MiB that the measured process must not inherit
    assert 1 < memory_mib(OURS, SMALL, 15.0) < 200
    assert ballast.all()


def test_the_command_measures_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "speed.json"
    options = ["--size", "64x64", "--rounds", "2", "--threads", "1", "--backends", "onnxruntime"]
    assert speed.main([*options, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "### 64x64 at 4 kbps" in text and "| resilient onnxruntime |" in text and "### Other steps" in text
    found = json.loads(out.read_text())
    assert [s["name"] for s in found["standings"]] == ["resilient", "x265", "svtav1"]
    assert set(found["standings"][0]["stages_ms"]) >= {"encode: encode", "decode: recover"}
    assert all(s["memory_mib"] > 0 and set(s["over_cpu"]) == {"x265", "svtav1"} for s in found["standings"])
    assert len(found["steps"]) == 3 + 2
    assert found["macs"] or "multiply-accumulates" in found["notes"][0]


def test_steps_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert speed.main(["--what", "transport", "tools", "--size", "64x64"]) == 0
    assert [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[4:9]] == [
        *("seal", "open", "seal, open, reassemble", "synthetic source, 64x64", "PSNR, 64x64")
    ]


def test_who_cannot_run_is_noted_and_the_others_race(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def memory(entry: Entry, size: Size, fps: float) -> float:
        if entry.backend or entry.name == "svtav1":
            raise BackendError("refuses\nthe graph")
        return 7.0

    def uncounted(profile: str, size: Size) -> Macs:
        raise MacsError("no")

    monkeypatch.setattr(speed, "memory_mib", memory)
    monkeypatch.setattr(speed, "profile_macs", uncounted)
    options = ["--what", "codec", "--size", "64x64", "--rounds", "1", "--backends", "onnxruntime"]
    assert speed.main(options) == 1
    text = capsys.readouterr().out
    assert text.count("resilient onnxruntime x1 cannot run: refuses the graph") == 1
    assert "| x265" in text and "| svtav1" not in text and "no multiply-accumulates" in text


def test_a_clip_is_cut_to_the_size(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=15)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for luma in (40, 80, 120):
            container.mux(stream.encode(to_video_frame(blank(128, 96, luma))))
        container.mux(stream.encode(None))
    pictures = speed.video(path, SMALL, 15.0, 100)
    assert [int(p[0, 0]) for p in pictures] == [40, 80, 120]
    assert picture_size(pictures[0]) == (64, 64)
    assert [int(p[0, 0]) for p in speed.video(path, SMALL, 15.0, 2)] == [40, 80]


@pytest.mark.parametrize(
    "options", [["--clip", "none.mp4"], ["--fps", "0"], ["--size", "48x48"], ["--threads", "0"]]
)
def test_wrong_options_are_refused_before_anything_runs(options: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        speed.main(options)
    assert refused.value.code == 2
