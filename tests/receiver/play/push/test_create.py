"""What a push needs is asked for when it is made, with the fix."""

from __future__ import annotations

import sys

import pytest

from receiver.play.base import SinkError
from receiver.play.push import srt
from receiver.play.push.coded import Settings
from receiver.play.push.create import Pushes


def test_srt_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srt, "LIBRARIES", ("libsrt-that-is-not-there.so.1",))
    with pytest.raises(SinkError, match=r"srt://host:9\?publish:cam: .*apt install libsrt1\.5-gnutls"):
        Pushes(Settings()).create("srt://host:9?streamid=publish:cam:user:pass")


def test_whip_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "receiver.play.push.whip", raising=False)
    with pytest.raises(SinkError, match=r"pip install 'semcast\[web\]'"):
        Pushes(Settings()).create("whip://host/cam")


def test_a_url_that_says_too_little_is_refused() -> None:
    with pytest.raises(SinkError, match="must name the path"):
        Pushes(Settings()).create("rtsp://host")
