from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.redact import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://user:secret@camera/stream", "rtsp://***@camera/stream"),
        ("rtsp://user:s@cr@t@camera/stream", "rtsp://***@camera/stream"),
        (
            "http://camera/a@b?user=me&password=s3&ch=1",
            "http://camera/a@b?user=me&password=***&ch=1",
        ),
        ("srt://h:1?passphrase=abcdefghij&mode=caller", "srt://h:1?passphrase=***&mode=caller"),
        ("srt://h:1?streamid=publish:cam:user:pass", "srt://h:1?streamid=***"),
        ("rtmps://live.example:443/app/live_123_abc", "rtmps://live.example:443/app/***"),
        ("GET /whep?token=abc&x=1", "GET /whep?token=***&x=1"),
        ("Authorization: Bearer abcdef.ghi", "Authorization: Bearer ***"),
        ("0" * 64, "***"),
    ],
)
def test_secrets_are_cut_out(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    ["/home/a@b/clip.mp4", "/media/key=1/clip.mp4", "http://camera/a@b?channel=1", "rtmp://h/app", "0" * 40],
)
def test_the_rest_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text(), st.text(alphabet="abcXYZ019-._~", min_size=4))
def test_no_text_breaks_it(before: str, secret: str) -> None:
    assert secret + "@" not in redact(f"{before} rtsp://user:{secret}@host/")
