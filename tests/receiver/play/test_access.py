"""Tokens: where they come from, how they are compared, how often they may be guessed."""

from __future__ import annotations

import asyncio
import logging
from http.cookies import SimpleCookie
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.play.access import (
    ALL_BURST,
    BURST,
    MAX_ADDRESSES,
    REFILL_S,
    Access,
    Verdict,
    bearer,
    is_loopback,
    network,
    new_token,
    token_from,
    token_in,
)
from receiver.play.base import SinkError
from receiver.play.web import WebSink
from tests.receiver.play.test_web import make

TOKEN = "correct-horse-battery"


def test_a_token_or_its_cookie_is_granted() -> None:
    access = Access(TOKEN)
    assert access.judge("192.0.2.1", 0.0, token=TOKEN) is Verdict.GRANTED
    assert access.judge("192.0.2.1", 0.0, cookie=access.cookie) is Verdict.GRANTED
    assert access.judge("192.0.2.1", 0.0) is Verdict.MISSING
    assert access.judge("192.0.2.1", 0.0, cookie=TOKEN) is Verdict.WRONG
    assert access.judge("192.0.2.1", 0.0, token=access.cookie) is Verdict.WRONG
    assert access.judge("192.0.2.1", 0.0, token="\udc80é") is Verdict.WRONG
    assert Access(TOKEN).cookie == access.cookie != Access(TOKEN + "!").cookie
    assert TOKEN not in access.cookie


def test_guesses_are_bounded_for_one_address_and_for_all() -> None:
    access = Access(TOKEN)
    verdicts = [access.judge("192.0.2.1", 1.0, token=f"guess {n}") for n in range(BURST + 3)]
    assert verdicts == [Verdict.WRONG] * BURST + [Verdict.LIMITED] * 3
    assert access.judge("192.0.2.1", 1.0, token=TOKEN) is Verdict.LIMITED  # says nothing of what was guessed
    assert access.judge("192.0.2.1", 1.0, cookie=access.cookie) is Verdict.GRANTED
    assert access.judge("192.0.2.2", 1.0, token=TOKEN) is Verdict.GRANTED
    assert access.judge("192.0.2.1", 1.1 + REFILL_S, token=TOKEN) is Verdict.GRANTED
    crowd = [access.judge(f"198.51.100.{n}", 50.0, token="guess") for n in range(ALL_BURST + 20)]
    assert crowd.count(Verdict.LIMITED) == 20


def test_pages_left_open_with_an_old_cookie_lock_nobody_out() -> None:
    access = Access(TOKEN)
    old = Access("the-token-of-before").cookie
    assert {access.judge("192.0.2.1", 1.0, cookie=old) for _ in range(10 * BURST)} == {Verdict.WRONG}
    assert access.judge("192.0.2.1", 1.0, token=TOKEN) is Verdict.GRANTED


def test_the_table_of_addresses_is_bounded() -> None:
    access = Access(TOKEN)
    for number in range(2 * MAX_ADDRESSES):
        access.judge(f"10.0.{number >> 8}.{number & 255}", float(number), token="guess")
    assert len(access._attempts._by) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("strange", ""),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str, counts_as: str) -> None:
    assert network(address) == counts_as


def test_loopback_is_told_from_everything_else() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(
        map(is_loopback, ("", "0.0.0.0", "::", "192.0.2.1", "display.example", "localhost.example"))
    )


@given(st.text())
def test_any_authorization_header_is_read(header: str) -> None:
    token = bearer(header)
    assert token is None or (token and token in header)


def test_bearer_is_of_any_case() -> None:
    assert bearer("bearer abc") == bearer("Bearer  abc ") == "abc"
    assert bearer("Basic abc") is bearer("Bearer") is bearer("") is None


@given(st.binary(max_size=400))
def test_any_token_file_gives_a_token_or_says_why_not(data: bytes) -> None:
    try:
        token = token_in(data, Path("web.token"))
    except SinkError as error:
        assert "web.token_file" in str(error)
    else:
        assert 16 <= len(token) <= 256 and token.encode() == data.strip()


def test_a_token_file_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "web.token"
    token = token_from(path)
    assert len(token) > 40 and path.stat().st_mode & 0o777 == 0o600
    assert token_from(path) == token != new_token()
    path.chmod(0o640)
    with pytest.raises(SinkError, match="chmod 600"):
        token_from(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(SinkError, match="16 to 256"):
        token_from(path)
    with pytest.raises(SinkError, match=r"web\.token_file: cannot use"):
        token_from(tmp_path / "nowhere" / "web.token")


async def started(sink: WebSink) -> aiohttp.ClientSession:
    await sink.start()
    return aiohttp.ClientSession(sink.url, cookie_jar=aiohttp.DummyCookieJar())


async def test_the_address_with_the_token_gives_a_cookie_and_leads_to_the_page(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "web.token"
    sink = make(token_file=path)  # on this host too, when it is asked for
    token = path.read_text().strip()
    with caplog.at_level(logging.DEBUG):
        async with await started(sink) as client:
            for place in ("/stats.json", "/events", "/stream.mjpeg", "/nowhere"):
                async with client.get(place) as answer:
                    assert answer.status == 401 and "Bearer" in answer.headers["WWW-Authenticate"]
            async with client.post("/whep", data="v=0") as answer:
                assert answer.status == 401
            async with client.get("/") as answer:
                assert answer.status == 401 and "access token" in await answer.text()
                assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
            async with client.get("/?token=wrong") as answer:
                assert answer.status == 401 and "not the access token" in await answer.text()
            typed = {"Sec-Fetch-Site": "none"}
            async with client.get(f"/?token={token}", headers=typed, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "/")
                cookie = answer.headers["Set-Cookie"]
            # By a link from elsewhere, or where the browser does not say: a strict cookie would not go with a redirect.
            async with client.get(f"/?token={token}", allow_redirects=False) as answer:
                assert answer.status == 200 and answer.headers["Set-Cookie"] == cookie
                assert 'content="0;url=/"' in await answer.text()
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and token not in cookie
            name, morsel = next(iter(SimpleCookie(cookie).items()))
            kept = {"Cookie": f"{name}={morsel.value}"}
            async with client.get("/stats.json", headers=kept) as answer:
                assert answer.status == 200
            async with client.post("/login", data={"token": token}, allow_redirects=False) as answer:
                assert answer.status == 303 and answer.headers["Set-Cookie"] == cookie
            async with client.post(
                "/whep", data="v=0", headers={"Authorization": f"Bearer {token}"}
            ) as answer:
                assert answer.status == 415
        await sink.close()
    assert sink.failure is None and token not in caplog.text


async def test_a_link_from_another_site_leads_to_the_page_all_the_same(tmp_path: Path) -> None:
    sink = make(token_file=tmp_path / "web.token")
    async with await started(sink) as client:
        async with client.get("/", headers={"Sec-Fetch-Site": "cross-site"}) as answer:
            assert answer.status == 200 and 'content="0;url=/"' in await answer.text()
        async with client.get("/", headers={"Sec-Fetch-Site": "same-origin"}) as answer:
            assert answer.status == 401
    await sink.close()


async def test_many_wrong_tokens_are_told_to_wait(tmp_path: Path) -> None:
    sink = make(token_file=tmp_path / "web.token")
    async with await started(sink) as client:
        statuses = []
        for _ in range(BURST + 1):
            async with client.get("/stats.json", headers={"Authorization": "Bearer guess"}) as answer:
                statuses.append(answer.status)
        assert statuses == [401] * BURST + [429]
    await sink.close()


async def test_beyond_this_host_a_token_is_made_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    sink = make("0.0.0.0:0")
    with caplog.at_level(logging.DEBUG):
        async with await started(sink) as client:
            token = sink._token
            assert token is not None
            async with client.get("/") as answer:
                assert answer.status == 401
            async with client.get(f"/?token={token}") as answer:
                assert answer.status == 200 and "Set-Cookie" in answer.headers
            await asyncio.sleep(0)
    await sink.close()
    told = [record for record in caplog.records if token in str(record.__dict__)]
    assert len(told) == 1 and told[0].getMessage() == "page served; open this address"


async def test_a_page_that_is_meant_to_be_open_asks_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    sink = make("0.0.0.0:0", open=True)
    with caplog.at_level(logging.INFO):
        async with await started(sink) as client, client.get("/stats.json") as answer:
            assert answer.status == 200
    await sink.close()
    assert any(record.levelno == logging.WARNING for record in caplog.records)
