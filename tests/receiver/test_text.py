"""The operator's text at the receiver."""

from __future__ import annotations

from common.text import Line
from proto.events import Delivered
from proto.streams import TEXT
from receiver.text import MAX_SENDERS, TextLog


def delivered(origin: bytes, *messages: bytes) -> Delivered:
    return Delivered(origin, origin, TEXT.id, messages, active=False)


def test_a_line_stands_until_a_later_one_comes_whichever_way() -> None:
    text, one = TextLog(), b"sender"
    assert text.last(None) is None and text.last(one) is None and text.age(one, 1.0) is None
    text.delivered(delivered(one, bytes(Line(0, "a")), bytes(Line(1, "b"))), 1.0)
    text.delivered(delivered(one, bytes(Line(1, "b"))), 2.0)  # announced as well
    text.delivered(delivered(one, bytes(Line(0, "a"))), 2.0)
    assert text.last(one) == "b" and text.age(one, 3.0) == 2.0 and text.lines == 2


def test_an_empty_line_takes_the_last_one_away() -> None:
    text, one = TextLog(), b"sender"
    text.delivered(delivered(one, bytes(Line(0, "a")), bytes(Line(1, ""))), 1.0)
    assert text.last(one) is None and text.age(one, 2.0) is None


def test_senders_have_lines_of_their_own_and_few_are_kept() -> None:
    text = TextLog()
    for number in range(100):
        text.delivered(delivered(bytes((number,)), bytes(Line(0, str(number)))), float(number))
    assert text.last(b"\x63") == "99"
    assert sum(text.last(bytes((number,))) is not None for number in range(100)) == MAX_SENDERS


def test_what_is_no_text_is_counted() -> None:
    text = TextLog()
    text.delivered(delivered(b"sender", b"", b"\0\0\0\0\xff"), 1.0)
    assert text.refused == 2 and text.lines == 0
