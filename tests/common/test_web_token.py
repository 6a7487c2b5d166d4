from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.web_token import TokenError, authorised, bearer, is_loopback, load_token, new_token

TOKEN = "0123456789abcdef"


def test_tokens_differ_and_need_no_quoting() -> None:
    first, second = new_token(), new_token()
    assert first != second and len(first) == 24
    assert first.replace("-", "").replace("_", "").isalnum()


def test_a_missing_file_is_made_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = load_token(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_token(path) == token
    path.write_text(f"\n  {TOKEN}  \r\n")
    assert load_token(path) == TOKEN


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"short", "16 to 256"),
        (b"x" * 300, "16 to 256"),
        (b"with a space in it", "letters"),
        (b"\xff" * 20, "letters"),
    ],
)
def test_what_is_no_token_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(TokenError, match=told):
        load_token(path)


@given(st.binary(max_size=400))
def test_any_file_gives_a_token_or_says_why_not(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:  # 0600
        file.write(data)
        file.flush()
        try:
            token = load_token(Path(file.name))
        except TokenError as error:
            assert file.name in str(error)
        else:
            assert 16 <= len(token) <= 256 and token.encode() == data.strip()


def test_a_file_that_others_read_or_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    load_token(path)
    path.chmod(0o640)
    with pytest.raises(TokenError, match="open to others"):
        load_token(path)
    with pytest.raises(TokenError, match="No such file"):
        load_token(tmp_path / "nowhere" / "token")
    with pytest.raises(TokenError):
        load_token(tmp_path)


def test_who_is_let_in() -> None:
    assert authorised(None, None) and authorised("anything", None)
    assert authorised(f"Bearer {TOKEN}", TOKEN) and authorised(f"bearer  {TOKEN} ", TOKEN)
    for header in (
        None,
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        "Bearer é\udcff",
    ):
        assert not authorised(header, TOKEN)


@given(st.text(st.characters(max_codepoint=0xFFFF)))
def test_any_header_is_answered(header: str) -> None:
    assert not authorised(f"Bearer {header}", TOKEN) or header.strip() == TOKEN


@given(st.text())
def test_any_header_is_read(header: str) -> None:
    token = bearer(header)
    assert token is None or (token and token in header)


def test_the_scheme_is_of_any_case() -> None:
    assert bearer("bearer abc") == bearer("Bearer  abc ") == "abc"
    assert bearer("Basic abc") is bearer("Bearer") is bearer("") is bearer(None) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_addresses_that_only_this_host_reaches(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.0.2.1", "cam.example", "localhost.example"])
def test_addresses_that_others_reach(host: str) -> None:
    assert not is_loopback(host)
