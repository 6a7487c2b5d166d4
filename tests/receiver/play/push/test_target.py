"""URLs of pushes: what is taken, what is refused with the fix, and that nothing secret comes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.redact import redact
from receiver.play.push.target import PORTS, is_push, target_of


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("rtsp://host:8554/cam", "rtsp://host:8554/cam"),
        ("rtsp://us%40er:p4ss@host/cam", "rtsp://host/cam"),
        ("rtsps://[2001:db8::7]:8322/a/b?token=abc", "rtsps://[2001:db8::7]:8322/a/b"),
        ("rtmp://host/live/s3cretkey?x=1", "rtmp://host/live/***"),
        ("rtmps://host:443/app/inst/s3cretkey", "rtmps://host:443/app/***"),
        (
            "srt://host:8890?streamid=publish:cam:me:p4ss&passphrase=0123456789",
            "srt://host:8890?publish:cam",
        ),
        ("srt://host:9?streamid=#!::r=cam,m=publish", "srt://host:9?***"),
        ("srt://host:9", "srt://host:9"),
        ("whip://t0ken@host:8889/cam/whip", "whip://host:8889/cam/whip"),
        ("whips://host/w?key=abc", "whips://host/w"),
    ],
)
def test_what_others_see_of_it(url: str, label: str) -> None:
    target = target_of(url)
    assert target.label == label == redact(label)
    assert not {"p4ss", "s3cretkey", "t0ken", "0123456789"} & set(repr(target).replace("/", " ").split())


def test_parts_are_decoded() -> None:
    target = target_of("rtsp://us%40er:p%3Ass@host/cam")
    assert (target.user, target.password, target.host, target.port) == ("us@er", "p:ss", "host", 554)
    options = target_of("srt://h:9?streamid=#!::r=a,m=publish&latency=200&passphrase=a%26bcdefghij").options
    assert options == {"streamid": "#!::r=a,m=publish", "latency": "200", "passphrase": "a&bcdefghij"}


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://host/cam", "must begin with one of rtsp://"),
        ("rtsp:///cam", "must name a host"),
        ("rtsp://host", "must name the path"),
        ("rtsp://u:p4ss@host:99999/cam", "host or port cannot be read"),
        ("rtsp://[::1/cam", "host or port cannot be read"),
        ("rtsp://host/a b", "%20"),
        ("rtmp://host/live", "stream key"),
        ("srt://host", "must name a port"),
        ("srt://host:9?latency=200000", "latency must be 20 to 8000 ms"),
        ("srt://host:9?mode=listener", "caller"),
        ("srt://host:9?passphrase=short", "10 to 79"),
        ("srt://host:9?pbkeylen=17", "16, 24 or 32"),
        ("srt://host:9?stremid=x", "is not one of streamid"),
        (f"srt://host:9?streamid={'x' * 513}", "512"),
    ],
)
def test_what_is_refused(url: str, text: str) -> None:
    with pytest.raises(ValueError, match=text) as refused:
        target_of(url)
    assert "p4ss" not in str(refused.value)


def test_texts_of_others_are_scrubbed() -> None:
    rtsp = target_of("rtsp://us%40er:p%3Ass@host/cam")
    assert rtsp.scrub("no: rtsp://us%40er:p%3Ass@host/cam p:ss us@er") == "no: rtsp://***@host/cam *** ***"
    rtmp = target_of("rtmp://host/live/k3y-of-mine?a=b")
    assert "k3y-of-mine" not in rtmp.scrub("cannot publish k3y-of-mine at rtmp://host/live/k3y-of-mine")
    srt = target_of("srt://host:9?streamid=publish:cam:me:p4ss&passphrase=0123456789")
    assert srt.scrub("publish:cam:me:p4ss 0123456789") == "*** ***"


@given(
    st.sampled_from(sorted(PORTS)),
    st.text(max_size=40),
    st.text(alphabet="abc:/?#[]@%&=|.;19\\'", max_size=40),
)
def test_any_text_is_taken_or_refused(scheme: str, text: str, rest: str) -> None:
    for url in (text, f"{scheme}://{text}", f"{scheme}://{rest}", f"{scheme}://h:9/a/b?{rest}"):
        try:
            target = target_of(url)
        except ValueError:
            continue
        assert is_push(url) and target.host and 0 < target.port < 65536
        assert target.label.startswith(f"{target.scheme}://") and "\n" not in target.label
        target.scrub(text)


@given(st.text("abcdefghij0123456789", min_size=8, max_size=20))
def test_no_password_is_ever_shown(secret: str) -> None:
    secret = f"Q{secret}"
    for url in (
        f"rtsp://u:{secret}@h/c",
        f"rtmp://h/live/{secret}",
        f"srt://h:9?streamid={secret}&passphrase=Q{secret}",
        f"whip://{secret}@h/c",
        f"whips://u:{secret}@h/c?token={secret}",
    ):
        target = target_of(url)
        assert secret not in target.label + repr(target) + target.scrub(f"cannot open {url}: {secret}")
