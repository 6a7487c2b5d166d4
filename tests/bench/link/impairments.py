"""What a link does to packets, as one checked value, and the names by which users and files call it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from tests.bench.link.replay import Replay

Damaged = Literal["drop", "deliver"]
MAX_LINE = 4096  # characters of a line of JSON, in traces and on the control socket


@dataclass(frozen=True, slots=True)
class Impairments:
    """The link, one way. Times in seconds, shares and probabilities in 0..1. Raises ValueError that names the field.

    With `burst` (mean length of a run of lost packets, at least loss / (1 - loss)) losses follow a two-state
    Gilbert-Elliott chain; without it they are independent. Jitter keeps the order of packets, `reorder` does not:
    such a packet waits `reorder_s` longer than its neighbours. `outages` are (start, length) after the first packet.
    `rate_kbps` is a bottleneck with a queue of `queue_s`, tail drop. `symbol_errors` is the probability that a symbol
    of `symbol_bits` bits arrives wrong; a packet with one is not delivered, or with `damaged` = "deliver" as it
    arrives, unless its IP and UDP headers are hit (as UDP-Lite does, RFC 3828, where the payload is not covered).
    `replay` takes the place of the rate, or changes the link as time goes.
    """

    loss: float = 0.0
    burst: float | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.02
    duplicate: float = 0.0
    corrupt: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    rate_kbps: float | None = None
    queue_s: float = 0.2
    symbol_errors: float = 0.0
    symbol_bits: int = 8
    damaged: Damaged = "drop"
    replay: Replay | None = None

    def __post_init__(self) -> None:
        for name in ("loss", "reorder", "duplicate", "corrupt", "symbol_errors"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}: must be between 0 and 1 (got {getattr(self, name)})")
        for name in ("delay_s", "jitter_s", "reorder_s", "queue_s"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: must not be negative (got {getattr(self, name)})")
        if self.rate_kbps is not None and not 0.0 < self.rate_kbps < math.inf:
            raise ValueError(f"rate_kbps: must be above 0 (got {self.rate_kbps})")
        if self.rate_kbps is not None and self.replay is not None and self.replay.has_rate:
            raise ValueError("rate_kbps: the replayed trace says it already")
        if not 1 <= self.symbol_bits <= 64:
            raise ValueError(f"symbol_bits: must be 1 to 64 (got {self.symbol_bits})")
        if self.damaged not in get_args(Damaged):
            raise ValueError(f"damaged: must be drop or deliver (got {self.damaged})")
        for start, length in self.outages:
            if not (0.0 <= start < math.inf and 0.0 < length < math.inf):
                raise ValueError(
                    f"outage: must start at 0 s or later and last longer than 0 s (got {start}:{length})"
                )
        self._check_burst()

    def _check_burst(self) -> None:
        if self.burst is None:
            return
        if not 1.0 <= self.burst < math.inf:
            raise ValueError(f"burst: must be at least 1 packet (got {self.burst})")
        if self.loss < 1.0 and self.burst * (1.0 - self.loss) < self.loss * (1.0 - 1e-9):
            raise ValueError(
                f"burst: at a loss of {self.loss} runs last at least {least_burst(self.loss):.2f} packets on average"
            )


def least_burst(loss: float) -> float:
    """The mean run of losses when one packet at a time gets through between two runs."""
    return loss / (1.0 - loss) if loss < 1.0 else math.inf


# The names outside: in milliseconds where the field is in seconds.
_MS = {"delay_ms": "delay_s", "jitter_ms": "jitter_s", "reorder_ms": "reorder_s", "queue_ms": "queue_s"}
_SHARES = ("loss", "reorder", "duplicate", "corrupt", "symbol_errors")
_OPTIONAL = {"burst": "burst", "rate_kbps": "rate_kbps", "kbps": "rate_kbps"}
NAMES = (*_SHARES, *_MS, *_OPTIONAL, "symbol_bits", "damaged", "replay")


def fields_of(settings: Mapping[str, object]) -> dict[str, Any]:
    """Fields of Impairments from settings by their names outside. Raises ValueError that names the setting.

    Ranges are left to Impairments. `kbps` is short for `rate_kbps`; null stands for none; `replay` can only end.
    """
    return dict(_field(name, value) for name, value in settings.items())


def _field(name: str, value: object) -> tuple[str, Any]:
    if name in _SHARES:
        return name, number(name, value)
    if name in _MS:
        if number(name, value) < 0.0:
            raise ValueError(f"{name}: must not be negative (got {value})")
        return _MS[name], number(name, value) / 1e3
    if name in _OPTIONAL:
        return _OPTIONAL[name], None if value is None else number(name, value)
    if name == "symbol_bits" and number(name, value).is_integer():
        return name, int(number(name, value))
    if name == "damaged" and value in get_args(Damaged):
        return name, value
    if name == "replay" and value is None:
        return name, None
    if name in NAMES:
        kinds = {"symbol_bits": "a whole number", "damaged": "drop or deliver", "replay": "null, to end it"}
        raise ValueError(f"{name}: must be {kinds[name]}")
    raise ValueError(f"{name[:40]!r} is no setting; there are {', '.join(NAMES)}")


def settings_of(link: Impairments) -> dict[str, object]:
    """What fields_of reads, from Impairments; `replay` only as null or the number of its lines, `outages` left out."""
    settings: dict[str, object] = {name: getattr(link, name) for name in (*_SHARES, "burst", "rate_kbps")}
    settings |= {name: 1e3 * getattr(link, field) for name, field in _MS.items()}
    settings |= {"symbol_bits": link.symbol_bits, "damaged": link.damaged}
    return settings | {"replay": None if link.replay is None else len(link.replay)}


def number(name: str, value: object) -> float:
    """A finite number that is no bool. Raises ValueError that names it."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:  # false for nan
        return float(value)
    raise ValueError(f"{name}: must be a number")


def json_object(line: str | bytes) -> dict[str, object]:
    """One line of JSON. Raises ValueError when it is no object, or too long."""
    if len(line) > MAX_LINE:
        raise ValueError(f"longer than {MAX_LINE} characters")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value
