from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from common.web_page import direct, own_origin, page_headers


def test_the_policy_names_what_a_page_holds_by_its_hash() -> None:
    page = "<style>a</style><script>b</script>"
    policy = page_headers(page)["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert page_headers(page.replace("a", "c"))["Content-Security-Policy"] != policy
    assert "script-src" not in page_headers("<style>a</style>")["Content-Security-Policy"]
    assert "form-action 'self'" in page_headers(page, {"form-action": "'self'"})["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("headers", "own", "typed"),
    [
        ({}, True, True),
        ({"Origin": "http://here:1"}, True, True),
        ({"Origin": "http://elsewhere:1"}, False, True),
        ({"Origin": "null"}, False, True),
        ({"Sec-Fetch-Site": "same-origin"}, True, True),
        ({"Sec-Fetch-Site": "cross-site"}, True, False),
    ],
)
def test_requests_of_other_sites_are_told(headers: dict[str, str], own: bool, typed: bool) -> None:
    request = make_mocked_request("GET", "/", {"Host": "here:1", **headers})
    assert (own_origin(request), direct(request)) == (own, typed)
