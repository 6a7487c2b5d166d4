"""The operator's text from the sender's Control to the receiver, and the files that it comes from."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.service import ServiceError
from proto.reliable_packet import SPAN
from proto.wire import Mode
from sender.lines import MAX_READ_BYTES, Splitter, check_lines, follow
from sender.text import TextStream
from tests.bench.link.impairments import Impairments
from tests.sender.conversation import Conversation


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.TWO_WAY, Mode.ONE_WAY])
def test_every_last_line_arrives_through_heavy_loss(mode: Mode) -> None:
    both = Conversation(mode, mode, link=Impairments(loss=0.7, delay_s=0.04))
    both.advance(4.0)
    for number in range(8):
        both.control.text.send(f"line {number}", both.now)
        both.advance(6.0)
        assert both.line == f"line {number}"
    assert both.text.lines == 8
    if mode is not Mode.ONE_WAY:
        both.advance(4.0)
        assert both.control.text.waiting == 0


def test_a_receiver_that_comes_later_is_told_the_last_line() -> None:
    both = Conversation(Mode.AUTO)
    both.advance(2.0)
    both.control.text.send("first", both.now)
    both.control.text.send("second", both.now)
    both.advance(2.0)
    both.restart_receiver()
    assert both.line is None
    both.advance(6.0)
    assert both.line == "second"


def test_text_keeps_to_its_share_of_the_rate() -> None:
    both = Conversation(Mode.ONE_WAY)
    for number in range(200):
        both.control.text.send(f"{number} " + "x" * 300, both.now)
        both.advance(0.1)
    text = sum(size for _, stream, size in both.sent if stream == 3)
    assert 0 < text <= 0.07 * sum(size for _, _, size in both.sent)
    assert both.line is not None and int(both.line.split()[0]) > 180


def test_lines_that_nobody_acknowledges_are_bounded_and_counted() -> None:
    text = TextStream(1000)
    for number in range(100):
        text.send(str(number), 1.0)
    assert (text.lines, text.waiting, text.dropped) == (100, SPAN, 100 - SPAN)
    text.acknowledged(b"\xff nonsense", 1.0)
    assert text.refused == 1


def test_one_way_no_line_waits_or_is_dropped() -> None:
    both = Conversation(Mode.ONE_WAY)
    for number in range(2 * SPAN):
        both.control.text.send(f"line {number}", both.now)
    both.advance(6.0)
    assert both.line == f"line {2 * SPAN - 1}"
    assert (both.control.text.waiting, both.control.text.dropped) == (0, 0)


def test_the_last_of_more_lines_than_can_wait_is_shown_once_somebody_answers() -> None:
    both = Conversation(Mode.AUTO)
    both.advance(2.0)
    for number in range(2 * SPAN):
        both.control.text.send(f"line {number}", both.now)
    both.advance(90.0)
    assert both.control.text.waiting == 0
    assert both.line == f"line {2 * SPAN - 1}"


def test_lines_are_split_whatever_the_pieces() -> None:
    splitter = Splitter()
    assert splitter.feed("höhe 1".encode()[:2]) == []
    assert splitter.feed("höhe 1".encode()[2:] + b"\r\nnext") == ["höhe 1"]
    assert splitter.feed(b"", last=True) == ["next"]
    assert splitter.feed(b"y" * (MAX_READ_BYTES + 1)) == ["y" * (MAX_READ_BYTES + 1)]
    assert splitter.feed(b"z\n") == ["z"]


@contextmanager
def following(path: Path) -> Iterator[list[str]]:
    lines: list[str] = []
    stop = threading.Event()
    thread = threading.Thread(target=follow, args=(str(path), lines.append, stop))
    thread.start()
    try:
        yield lines
    finally:
        stop.set()
        thread.join(5)
        assert not thread.is_alive()


def until(lines: list[str], wanted: list[str]) -> None:
    ends = time.monotonic() + 5
    while lines != wanted and time.monotonic() < ends:
        time.sleep(0.02)
    assert lines == wanted


def test_a_file_that_grows_is_written_anew_and_goes_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "osd.txt"
    path.write_text("old\nlast\n")
    with following(path) as lines:
        until(lines, ["last"])
        with path.open("a") as file:
            file.write("a\nb")
            file.flush()
            until(lines, ["last", "a"])
            file.write("c\n")
        until(lines, ["last", "a", "bc"])
        path.write_text("new")
        until(lines, ["last", "a", "bc", "new"])
        path.unlink()
        time.sleep(0.5)
        path.write_text("back\n")
        until(lines, ["last", "a", "bc", "new", "back"])


def test_a_status_line_written_over_by_one_as_long_or_longer_is_read(tmp_path: Path) -> None:
    path = tmp_path / "status.txt"
    told = [
        "heading 010",
        "heading 011",
        "heading 012 speed 5",
        "heading 013 speed 5",
        "heading 014 speed 5.25",
    ]
    with following(path) as lines:
        for number, line in enumerate(told):
            path.write_text(line + "\n")
            until(lines, told[: number + 1])


def test_standard_input_that_is_closed_ends_the_thread_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    follow("-", lambda line: None, threading.Event())
    assert "standard input cannot be read" in caplog.text


def test_a_pipe_may_change_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with following(path) as lines:
        for word in ("one", "two"):
            with path.open("w") as pipe:
                pipe.write(word + "\n")
            time.sleep(0.5)
        until(lines, ["one", "two"])


def test_text_from_nowhere_is_one_clear_error(tmp_path: Path) -> None:
    check_lines("-")
    check_lines(str(tmp_path / "comes-later"))
    for bad in (tmp_path, tmp_path / "no" / "file"):
        with pytest.raises(ServiceError, match="is no file or pipe"):
            check_lines(str(bad))
