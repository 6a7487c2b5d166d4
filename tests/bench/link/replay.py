"""Recorded links, replayed in a loop: when packets may leave, or how the link changes.

Two kinds of file. Mahimahi's (https://www.usenix.org/conference/atc15/technical-session/presentation/netravali): each
line is a whole number of milliseconds, an opportunity to deliver 1500 bytes; the last is also the length of a lap.
Lines of JSON: {"t": 2.5, "kbps": 300, "loss": 0.1, "delay_ms": 40} says what holds from 2.5 s on; what a line does not
name stays as it is. A last line with nothing but "t" ends the lap; without one the last line lasts as long as the line
before it did.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from tests.bench.link.impairments import fields_of, json_object, number

OPPORTUNITY_BYTES = 1500
MAX_CHARACTERS = 16 << 20
MAX_OPPORTUNITIES = 1_000_000
MAX_CONDITIONS = 20_000
UNLIMITED_KBPS = 1e7  # for a null in a trace: 1.2 us a packet; higher costs precision beside low rates


@dataclass(frozen=True, slots=True)
class Opportunities:
    """Times in seconds from the start of a lap at which OPPORTUNITY_BYTES may leave, in order; at least one."""

    times: tuple[float, ...]
    period: float
    has_rate = True

    def __len__(self) -> int:
        return len(self.times)

    def at(self, index: int) -> float:
        """When opportunity `index` comes, counted over all laps."""
        lap, place = divmod(index, len(self.times))
        return lap * self.period + self.times[place]

    def first(self, time: float) -> int:
        """The first opportunity that is no earlier."""
        lap = int(max(time, 0.0) // self.period)
        index = lap * len(self.times) + bisect_left(self.times, time - lap * self.period)
        while index > 0 and self.at(index - 1) >= time:  # the end of a lap is the start of the next one
            index -= 1
        return index


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """A rate that changes at given times and repeats; `times` begin with 0, a rate of 0 serves nothing."""

    times: tuple[float, ...]
    kbps: tuple[float, ...]
    period: float
    _kilobits: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        lengths = [until - since for since, until in pairwise((*self.times, self.period))]
        spent = (length * rate for length, rate in zip(lengths, self.kbps, strict=True))
        object.__setattr__(self, "_kilobits", tuple(accumulate(spent, initial=0.0)))
        if self._kilobits[-1] <= 0.0:
            raise ValueError("kbps: must be above 0 somewhere")

    def served(self, time: float) -> float:
        """Kilobits that can have left from 0 to `time`."""
        lap, rest = divmod(max(time, 0.0), self.period)
        place = bisect_right(self.times, rest) - 1
        return (
            lap * self._kilobits[-1] + self._kilobits[place] + (rest - self.times[place]) * self.kbps[place]
        )

    def when(self, kilobits: float, begins: bool = False) -> float:
        """When so much has left; or with `begins` when what comes after it begins to leave."""
        lap, rest = divmod(
            kilobits + 1e-6 * begins, self._kilobits[-1]
        )  # so that rounding passes no standstill by
        if rest <= 0.0 and lap > 0 and not begins:
            lap, rest = lap - 1, self._kilobits[-1]
        place = bisect_right(self._kilobits, rest) - 1
        if not begins:
            while place > 0 and self._kilobits[place] >= rest:
                place -= 1
        while self.kbps[place] <= 0.0:
            place += 1
        return lap * self.period + self.times[place] + (rest - self._kilobits[place]) / self.kbps[place]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Fields of Impairments that change at given times of a lap, and the rate, which changes with them."""

    times: tuple[float, ...]
    fields: tuple[dict[str, Any], ...]
    period: float
    rates: RateSchedule | None = None

    @property
    def has_rate(self) -> bool:
        """Whether it says the rate."""
        return self.rates is not None

    def __len__(self) -> int:
        return len(self.times)

    def place(self, time: float) -> int:
        """How many lines have come into force by then, counted over all laps."""
        lap, rest = divmod(max(time, 0.0), self.period)
        return int(lap) * len(self.times) + bisect_right(self.times, rest)

    def between(self, place: int, later: int) -> Sequence[dict[str, Any]]:
        """The lines that came into force after `place` up to `later`; of more than a lap the last one."""
        lines = len(self.times)
        return [self.fields[n % lines] for n in range(max(place, later - lines), later)]


Replay = Opportunities | Conditions


def parse(text: str) -> Replay:
    """A trace of either kind, told by its first character. Raises ValueError that names the line."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"longer than {MAX_CHARACTERS} characters")
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise ValueError("no line in it")
    return _conditions(lines) if lines[0][1].startswith("{") else _opportunities(lines)


Lines = list[tuple[int, str]]


def _opportunities(lines: Lines) -> Opportunities:
    _check_count(lines, MAX_OPPORTUNITIES)
    times = _each(lines, _milliseconds)
    _check_order(lines, times)
    if times[-1] <= 0.0:
        raise ValueError("its last line must be above 0, it is the length of a lap")
    return Opportunities(tuple(times), times[-1])


def _milliseconds(line: str) -> float:
    if not (line.isascii() and line.isdigit() and len(line) <= 12):
        raise ValueError("must be a whole number of milliseconds")
    return int(line) / 1e3


def _conditions(lines: Lines) -> Conditions:
    _check_count(lines, MAX_CONDITIONS)
    parsed = _each(lines, _condition)
    times = [time for time, _ in parsed]
    _check_order(lines, times)
    if len(parsed) > 1 and not parsed[-1][1]:
        period = times.pop()
        parsed.pop()
    else:
        period = times[-1] + (times[-1] - times[-2] if len(times) > 1 else 1.0)
    if not times or period <= times[-1]:
        raise ValueError(f"line {lines[-1][0]}: its t must be above that of the line before it")
    rates = _rates(parsed, period)
    fields = tuple({k: v for k, v in named.items() if k != "rate_kbps"} for _, named in parsed)
    return Conditions(tuple(times), fields, period, rates)


def _condition(line: str) -> tuple[float, dict[str, Any]]:
    entry = json_object(line)
    time = number("t", entry.pop("t", None))
    if time < 0.0:
        raise ValueError("t: must not be negative")
    if "replay" in entry:
        raise ValueError("replay: not in a trace")
    fields = fields_of(entry)
    if (fields.get("rate_kbps") or 0.0) < 0.0:
        raise ValueError("kbps: must not be negative")
    return time, fields


def _rates(parsed: Sequence[tuple[float, dict[str, Any]]], period: float) -> RateSchedule | None:
    """From the lines that say a rate; before the first of them holds the last one, as in later laps."""
    named = [(time, fields["rate_kbps"]) for time, fields in parsed if "rate_kbps" in fields]
    if not named:
        return None
    if named[0][0] > 0.0:
        named.insert(0, (0.0, named[-1][1]))
    kbps = tuple(UNLIMITED_KBPS if rate is None else rate for _, rate in named)
    return RateSchedule(tuple(time for time, _ in named), kbps, period)


def _each(lines: Lines, read: Callable[[str], Any]) -> list[Any]:
    values = []
    for place, line in lines:
        try:
            values.append(read(line))
        except ValueError as error:
            raise ValueError(f"line {place}: {error}") from None
    return values


def _check_count(lines: Lines, most: int) -> None:
    if len(lines) > most:
        raise ValueError(f"more than {most} lines")


def _check_order(lines: Lines, times: Sequence[float]) -> None:
    for (earlier, later), (place, _) in zip(pairwise(times), lines[1:], strict=True):
        if later < earlier:
            raise ValueError(f"line {place}: earlier than the line before it")
