"""A capture of a receiver with the fake codec, played again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from common.capture.records import NEXT_PART, SENT, End, Packet, Record, Start
from common.config import ConfigError
from common.service import ServiceError
from proto.crypto import Opener
from receiver.app import App
from receiver.audio.player import AudioPlayer
from receiver.config import configure
from receiver.player import MAX_SLEEP_S
from receiver.replay.engine import Resealer
from receiver.replay.tape import BETWEEN_RUNS_S, Tape
from tests.common.capture.samples import ORIGIN, capture, packet, started
from tests.fakes import FakeDecoder, fake_describe
from tests.receiver.link import FakeSender, running, sending, until

KEY = bytes(range(32))
SAME = ("number", "unit", "offset", "picture", "arrived", "trust", "concealed", "repeated")


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def what(path: Path) -> list[list[object]]:
    """What was shown, without when."""
    return [[line[key] for key in SAME] for line in lines(path)]


async def replayed(folder: Path, name: str, files: Sequence[Path], *flags: str) -> App:
    out = ["--frame-log", str(folder / f"{name}.jsonl"), "--play", str(folder / f"{name}.mkv")]
    shown = [word for file in files for word in ("--replay", str(file))]
    config = configure([*shown, "--replay-speed", "max", "--metrics.listen", "off", *out, *flags])
    app = App(config, fake_describe, FakeDecoder)
    await asyncio.wait_for(app.main(), 60)
    return app


async def test_the_same_is_shown_again_and_again(tmp_path: Path) -> None:
    """Two senders, one after the other, half of the packets lost, a loss of signal, and parts of the capture."""
    live = tmp_path / "live.jsonl"
    flags = [
        *("--play", str(tmp_path / "live.mkv"), "--frame-log", str(live), "--signal.lost-after", "0.5"),
        *("--record", str(tmp_path / "live.smc"), "--record.segment-mb", "0.01", "--metrics.listen", "off"),
    ]
    async with running(tmp_path, *flags) as app:
        async with sending(FakeSender(app.port, loss=0.5)):
            await until(lambda: app.player.shown >= 30)
        await asyncio.sleep(1.0)
        async with sending(FakeSender(app.port, loss=0.2, seed=2, size=(128, 128))):
            await until(lambda: app.endpoint.takeovers == 2)
            before = app.player.shown
            await until(lambda: app.player.shown >= before + 30)
    parts = sorted(tmp_path.glob("live-*.smc"))
    assert len(parts) > 1 and app.capture is not None and app.capture.writer.dropped == 0
    again = await replayed(tmp_path, "one", parts[::-1], "--signal.lost-after", "0.5")
    await replayed(tmp_path, "two", parts, "--signal.lost-after", "0.5")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert (tmp_path / "one.mkv").read_bytes()[-5000:] == (tmp_path / "two.mkv").read_bytes()[-5000:]
    assert what(tmp_path / "one.jsonl") == what(live)
    assert again.sinks[0].dropped == 0 and again.endpoint.packets == app.endpoint.packets
    assert again.player.concealed == app.player.concealed > 10


async def test_as_by_a_receiver_that_is_never_late(tmp_path: Path) -> None:
    """A longer delay takes in packets that came too late then; a capture of a sender has no times of decisions."""
    flags = (
        "--play",
        str(tmp_path / "live.mkv"),
        "--record",
        str(tmp_path / "live.smc"),
        "--metrics.listen",
        "off",
    )
    async with running(tmp_path, *flags) as app, sending(FakeSender(app.port, loss=0.3)):
        await until(lambda: app.player.shown >= 30)
    ideal = ("--replay.timing", "ideal", "--playout.delay-ms", "800")
    for name in ("one", "two"):
        again = await replayed(tmp_path, name, [tmp_path / "live.smc"], *ideal)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert again.player.delay == pytest.approx(0.8)
    assert again.player.shown >= 30 and again.player.repeated <= app.player.repeated
    shown = lines(tmp_path / "one.jsonl")
    times = [float(str(line["shown_at"])) for line in shown]
    assert times[-1] - times[0] == pytest.approx((len(times) - 1) / 15, abs=0.1)
    tape = Tape([tmp_path / "live.smc"])
    packets = [record for record in tape if isinstance(record, Packet)]
    sent = tmp_path / "sent.smc"
    sent.write_bytes(capture(packets, started(SENT, clock=packets[0].time)))
    assert (await replayed(tmp_path, "sent", [sent])).player.shown >= 30


async def test_the_speed_is_kept(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    records = [packet(n, 100.0 + n / 10) for n in range(21)]
    (tmp_path / "a.smc").write_bytes(capture(records, started(SENT)))
    out = ("--play", str(tmp_path / "a.mkv"), "--metrics.listen", "off")
    config = configure(["--replay", str(tmp_path / "a.smc"), "--replay-speed", "4", *out])
    begun = loop.time()
    await asyncio.wait_for(App(config, fake_describe, FakeDecoder).main(), 30)
    assert loop.time() - begun >= 0.5


async def test_sound_goes_by_the_clock_of_the_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[float] = []
    monkeypatch.setattr(AudioPlayer, "step", lambda _, now: times.append(now))
    records = [packet(n, 100.0 + n / 10) for n in range(21)]
    (tmp_path / "a.smc").write_bytes(capture(records, started(SENT)))
    await replayed(tmp_path, "a", [tmp_path / "a.smc"])
    assert times[0] == 100.0 and times[-1] >= 102.0
    assert all(0 <= after - before <= MAX_SLEEP_S for before, after in pairwise(times))


def test_a_capture_cut_anywhere_is_played_to_its_end(tmp_path: Path) -> None:
    whole = capture([packet(n, 100.0 + n) for n in range(5)], closed=False)
    (tmp_path / "a.smc").write_bytes(whole[:-3])
    tape = Tape([tmp_path / "a.smc"])
    assert sum(isinstance(record, Packet) for record in tape) == 4
    [(_, reader)] = tape.read
    assert reader.ended is None and reader.tail_bytes > 0


def test_runs_follow_each_other_on_one_clock(tmp_path: Path) -> None:
    parts: list[tuple[list[Record], Start]] = [
        ([packet(0, 101.0)], started(part=0, clock=100.0)),
        ([packet(1, 102.0), End(102.5, NEXT_PART)], started(part=1, clock=101.5)),
        ([packet(0, 7.0)], started(part=0, clock=5.0, run=b"another!")),
    ]
    paths = []
    for number, (records, start) in enumerate(parts):
        paths.append(tmp_path / f"{number}.smc")
        start = start if number < 2 else Start(1, start.run, 0, 5.0, 1_900_000_000.0)
        paths[-1].write_bytes(capture(records, start))
    tape = Tape(paths[::-1])
    times = [record.time for record in tape if isinstance(record, Packet)]
    assert times == [101.0, 102.0, 102.0 + BETWEEN_RUNS_S + 2.0]
    assert tape.wall.from_monotonic(101.0) == pytest.approx(1_800_000_101.0)


def test_a_run_known_by_another_name_first_stays_one_sender() -> None:
    seal = Resealer(KEY).seal
    other, later = b"other!", b"later!"
    told = [
        packet(5, 1.0),
        Packet(2.0, ORIGIN, other, 1, 6, False, b"x"),  # ORIGIN was session 3 of `other`
        Packet(3.0, later, other, 1, 0, True, b"x"),  # which then agreed on keys
        Packet(4.0, b"new...", b"new...", 1, 0, False, b"x"),
        Packet(5.0, ORIGIN, ORIGIN, 255, 0, False, b"x"),
    ]
    opener = Opener(KEY)
    opened = [None if data is None else opener.open(data) for data in map(seal, told)]
    assert [one and one.session for one in opened] == [ORIGIN, ORIGIN, ORIGIN, b"new...", None]
    assert [one and one.counter for one in opened] == [0, 1, 2, 0, None]


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="key_file: is required"):
        configure(["--listen", ":5004"])
    with pytest.raises(ConfigError, match=r"record: a replay receives nothing"):
        configure(["--replay", "a.smc", "--record", "b.smc"])
    with pytest.raises(ConfigError, match=r"must end in \.mp4, \.mkv or \.smc"):
        configure(["--key-file", "k", "--record", "b.avi"])
    with pytest.raises(ConfigError, match=r"one \.smc only"):
        configure(["--key-file", "k", "--record", "a.smc", "--record", "b.smc"])
    with pytest.raises(ConfigError, match=r"replay\.speed.*`max`"):
        configure(["--replay", "a.smc", "--replay-speed", "0"])
    assert configure(["--replay", "a.smc", "--replay-speed", "0.5"]).replay.speed == 0.5
    for content, words in ((b"", "is empty"), (b"GIF89a..", "is not a capture"), (None, "cannot read")):
        path = tmp_path / "wrong.smc"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ServiceError, match=words) as caught:
            App(configure(["--replay", str(path)]), fake_describe, FakeDecoder)
        assert caught.value.exit_code == 66
