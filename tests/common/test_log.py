from __future__ import annotations

import io
import json
import logging
import math
import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import pytest

from common.log import Log, RateLimited, is_structured, records, setup, uncaught
from common.log_format import MAX_VALUE
from tests.fakes import ManualClock


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    """Leave logging as it was."""
    names = (None, "semcast")
    before = [
        (logging.getLogger(n), logging.getLogger(n).handlers[:], logging.getLogger(n).level) for n in names
    ]
    yield
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)


def test_logfmt() -> None:
    out = io.StringIO()
    setup("info", "logfmt", out)
    Log("a.b").info("it happened", count=3, ratio=0.25, text='say "x"', empty="")
    Log("a.b").debug("not shown")
    line = out.getvalue()
    assert line.endswith(
        'level=info component=a.b event="it happened" count=3 ratio=0.25 text="say \\"x\\"" empty=""\n'
    )


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_an_exception_is_one_line(form: Literal["logfmt", "json"]) -> None:
    out = io.StringIO()
    setup("debug", form, out)
    try:
        raise ValueError("broken\nrtsp://me:hunter2@camera/x")
    except ValueError as error:
        Log("x").exception("failed", error, at=1)
    assert out.getvalue().count("\n") == 1
    assert "ValueError: broken" in out.getvalue() and "hunter2" not in out.getvalue()


def test_json() -> None:
    out = io.StringIO()
    setup("debug", "json", out)
    Log("a.b").warning("it happened", at=1, ratio=math.nan, level=9, name=os.fsdecode(b"\xff.mkv"))
    record = json.loads(out.getvalue())
    assert list(record)[:4] == ["ts", "level", "component", "event"]
    assert datetime.fromisoformat(record["ts"]).tzinfo is not None
    assert (record["level"], record["component"], record["event"]) == ("warning", "a.b", "it happened")
    assert (record["at"], record["ratio"], record["level_"]) == (1, None, 9)


def test_json_of_a_library() -> None:
    out = io.StringIO()
    setup("info", "json", out)
    logging.getLogger("aiortc.peer").warning("%d of %s", 3, "http://user:hunter2@peer/x")
    record = json.loads(out.getvalue())
    assert (record["component"], record["event"]) == ("aiortc.peer", "3 of http://***@peer/x")


def test_journald_is_told_the_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "journal", "w+") as journal:
        status = os.fstat(journal.fileno())
        for told, prefix in ((f"{status.st_dev}:{status.st_ino}", "<3>"), ("1:2", ""), ("", "")):
            monkeypatch.setenv("JOURNAL_STREAM", told)
            setup("info", "json", journal)
            Log("x").error("failed")
            journal.seek(0)
            line = journal.read()
            assert line.startswith(prefix + "{") and json.loads(line.removeprefix(prefix))
            journal.seek(0)
            journal.truncate()


SECRETS = ("hunter2", "a" * 64, "s3cret")


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_nothing_secret_is_written(form: Literal["logfmt", "json"]) -> None:
    out = io.StringIO()
    setup("debug", form, out)
    log = Log("x")
    for number, text in enumerate(
        (
            "rtsp://me:hunter2@camera/stream",
            "srt://peer:9000?passphrase=hunter2&mode=caller",
            "rtmp://live.example/app/hunter2",
            "Authorization: Bearer hunter2hunter2",
            "/whep?token=hunter2",
            "key " + "a" * 64,
        )
    ):
        log.info("opened", url=text, number=number)
        log.info(f"opened {text}")
        logging.getLogger("lib").error("cannot open %s", text)
        log.exception("failed", OSError(text))
    log.info("secrets", token="s3cret", password="s3cret", psk=b"s3cret", stream_key="s3cret", data=b"s3cret")
    assert out.getvalue().count("\n") == 4 * 6 + 1
    assert not [secret for secret in SECRETS if secret in out.getvalue()]
    assert "(6 bytes)" in out.getvalue() and "key_file" not in out.getvalue()


def test_records_are_counted_by_level() -> None:
    setup("info", "json", io.StringIO())
    before = records()
    for _ in range(5):
        Log("x").error("failed")
        Log("x").debug("nobody listens")
    after = records()
    assert {level: after[level] - before[level] for level in after if after[level] != before[level]} == {
        "error": 5
    }


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_a_line_stays_a_line(format: Literal["logfmt", "json"]) -> None:
    out = io.StringIO()
    setup("info", format, out)
    Log("x").warning("garbage", data="a\nb\x00" + "c" * 5000)
    assert out.getvalue().count("\n") == 1
    assert len(out.getvalue()) < MAX_VALUE + 200


def test_a_flood_becomes_a_few_lines() -> None:
    out = io.StringIO()
    setup(stream=out)
    clock = ManualClock()
    trouble = RateLimited(Log("x"), 10.0, clock)
    for _ in range(100):
        trouble.add("lost", peer="a")
        clock.advance(0.2)
    trouble.flush()
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert sum(int(line.split("count=")[1].split()[0]) for line in lines) == 100


def test_what_nobody_catches_is_a_record() -> None:
    out = io.StringIO()
    setup("info", "json", out)

    def crash() -> None:
        raise RuntimeError("no memory")

    class Broken:
        def __del__(self) -> None:
            raise RuntimeError("too late")

    before = threading.excepthook
    with uncaught():
        thread = threading.Thread(target=crash, name="decode")
        thread.start()
        thread.join()
        Broken()
    assert threading.excepthook is before
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["event"], first["thread"]) == ("thread crashed", "decode")
    assert "no memory" in first["traceback"] and "too late" in second["traceback"]


def test_json_is_told_apart() -> None:
    setup("info", "logfmt", io.StringIO())
    assert not is_structured()
    setup("info", "json", io.StringIO())
    assert is_structured()
