"""Takes secrets out of text that people will read: passwords and tokens of URLs, headers, keys in hexadecimal."""

from __future__ import annotations

import re

HIDDEN = "***"

_NAMES = r"pass|passwd|password|passphrase|pwd|token|access_token|secret|key|psk|auth|signature|sig|streamid"
_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]+@")  # up to the last @: FFmpeg takes those before it as password
_IN_URL = re.compile(rf"(?i)\b({_NAMES})=[^&;\s\"']+")
_IN_QUERY = re.compile(rf"(?i)(?<=[?&])({_NAMES})=[^&;\s\"']+")  # of a path that has lost its scheme
_RTMP_KEY = re.compile(r"(?i)(\brtmp[a-z]*://[^/\s]+/[^/\s]+/)[^?#\s\"']+")
_HEADER = re.compile(r"(?i)\b(bearer|basic)(\s+)[\w.~+/=-]{6,}")
_HEX_KEY = re.compile(r"\b[0-9a-fA-F]{64,}\b")  # what a key file holds

SECRET_FIELD = re.compile(
    r"(?i)(^|_)(pass|passwd|password|passphrase|pwd|token|secret|psk|key|authorization)$"
)
"""Names of log fields whose values are never shown."""


def redact(text: str) -> str:
    """The text without user names, passwords and tokens of URLs, stream keys of RTMP addresses, authorisation headers,
    and hexadecimal keys. Paths of files are left alone."""
    if "://" in text:
        text = _IN_URL.sub(rf"\1={HIDDEN}", _CREDENTIALS.sub(f"{HIDDEN}@", text))
        text = _RTMP_KEY.sub(rf"\1{HIDDEN}", text)
    text = _IN_QUERY.sub(rf"\1={HIDDEN}", text)
    return _HEX_KEY.sub(HIDDEN, _HEADER.sub(rf"\1\2{HIDDEN}", text))
