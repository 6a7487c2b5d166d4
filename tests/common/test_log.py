from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest

from common.log import MAX_VALUE, Log, RateLimited, redact, setup
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
    logging.getLogger("semcast").propagate = True


def test_logfmt() -> None:
    out = io.StringIO()
    setup("info", "logfmt", out)
    Log("a.b").info("it happened", count=3, ratio=0.25, text='say "x"', empty="")
    Log("a.b").debug("not shown")
    line = out.getvalue()
    assert line.endswith(
        'level=info logger=a.b event="it happened" count=3 ratio=0.25 text="say \\"x\\"" empty=""\n'
    )


def test_json() -> None:
    out = io.StringIO()
    setup("debug", "json", out)
    try:
        raise ValueError("broken")
    except ValueError as error:
        Log("x").exception("failed", error, at=1)
    record = json.loads(out.getvalue())
    assert (record["event"], record["level"], record["at"]) == ("failed", "error", 1)
    assert "ValueError: broken" in record["traceback"]


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_a_line_stays_a_line(format: Literal["logfmt", "json"]) -> None:
    out = io.StringIO()
    setup("info", format, out)
    Log("x").warning("garbage", data="a\nb\x00" + "c" * 5000)
    assert out.getvalue().count("\n") == 1
    assert len(out.getvalue()) < MAX_VALUE + 200


def test_passwords_are_cut_out() -> None:
    assert redact("rtsp://user:secret@camera/stream") == "rtsp://***@camera/stream"
    assert redact("rtsp://user:s@cr@t@camera/stream") == "rtsp://***@camera/stream"
    assert (
        redact("http://camera/a@b?user=me&password=s3&ch=1") == "http://camera/a@b?user=me&password=***&ch=1"
    )
    for plain in ("/home/a@b/clip.mp4", "/media/key=1/clip.mp4", "http://camera/a@b?channel=1"):
        assert redact(plain) == plain


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
