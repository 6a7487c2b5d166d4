"""The command line of the loss sweep."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from tests.bench.erasures import KINDS
from tests.bench.rows import NO_FEEDBACK

PEERS = ("x264", "x265", "svtav1")
OURS = "resilient"
OTHERS = ("classic",)  # of our profiles; on request

EXAMPLES = """
examples:
  python -m tests.bench.loss_sweep --clips clips/ --out rows.json --plot plots/
      the whole grid; stopped and started again it goes on where it was
  python -m tests.bench.loss_sweep --clips a.mp4 --wire-kbps 60 --loss 0 .5 .9 --contestants resilient x265
      a first look
  python -m tests.bench.loss_sweep --clips clips/ --out rows.json --contestants resilient --again resilient
      the codec has changed: its rows anew, those of the peers as they are
  python -m tests.bench.loss_sweep --clips clips/ --out feedback.json --contestants resilient --feedback 100
  python -m tests.bench.report rows.json feedback.json --check
      tables again, and which targets are met
"""


def parser(about: str | None) -> argparse.ArgumentParser:
    """Of all options; what they say about themselves teaches them."""
    out = argparse.ArgumentParser(
        prog="python -m tests.bench.loss_sweep",
        description=about,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _compared(out.add_argument_group("what is compared").add_argument)
    _sent_through(out.add_argument_group("the link").add_argument)
    _made(out.add_argument_group("the run").add_argument)
    return out


Add = Callable[..., argparse.Action]


def _compared(add: Add) -> None:
    all_names = ", ".join((OURS, *OTHERS, *PEERS))
    rates = [Fraction(r) for r in ("1", "3/4", "1/2", "1/4", "1/8")]
    add("--clips", type=Path, nargs="+", required=True, metavar="FILE|DIR", help="videos, at their own size")
    text = f"of {all_names} (default: all but {', '.join(OTHERS)})"
    add("--contestants", nargs="+", default=[OURS, *PEERS], metavar="NAME", help=text)
    text = "of the peers' erasure code (default: 1 3/4 1/2 1/4 1/8)"
    add("--code-rates", type=_code_rate, nargs="+", default=rates, metavar="K/N", help=text)
    text = "frames per second that the clips are taken at (default: 15)"
    add("--fps", type=_positive, default=15.0, help=text)
    add("--frames", type=_count, metavar="N", help="of each clip the first N frames at most (default: all)")


def _sent_through(add: Add) -> None:
    share = _number(0, 1, "a share between 0 and 1")
    losses = [0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9]
    text = "rates on the wire, all headers counted (default: 30 60 120 250)"
    kbps = [30.0, 60.0, 120.0, 250.0]
    add("--wire-kbps", type=_positive, nargs="+", default=kbps, metavar="KBPS", help=text)
    text = "shares of packets lost (default: 0 .1 .2 .3 .5 .7 .8 .9)"
    add("--loss", type=share, nargs="+", default=losses, metavar="SHARE", help=text)
    text = (
        "how packets are lost: independently, in bursts of 5 on average, or all while the link is dead for a second"
        " on average (default: iid)"
    )
    add("--channel", choices=KINDS, default="iid", help=text)
    text = (
        "round-trip time of reports, which are lost as packets are; contestants that use none do as without"
        " (default: none)"
    )
    add("--feedback", type=_round_trip, default=None, metavar="none|RTT_MS", help=text)
    add("--delay-ms", type=_positive, default=500.0, help="from capture to display (default: 500)")
    add("--seeds", type=_count, default=1, metavar="N", help="how many seeded links a loss (default: 1)")


def _made(add: Add) -> None:
    text = "all rows; those that stand there are kept and not made again, so a run that was stopped goes on"
    add("--out", type=Path, metavar="FILE.json", help=text)
    text = "contestants that have changed: all their rows in --out are dropped first"
    add("--again", nargs="+", default=[], metavar="NAME", help=text)
    add("--plot", type=Path, metavar="DIR", help="draw all rows of --out")
    text = "processes; the results do not depend on it (default: 1)"
    add("--jobs", type=_count, default=1, metavar="N", help=text)


def _number(low: float, high: float, what: str, least: bool = True) -> Callable[[str], float]:
    """A parser of numbers between two, the lower one included or not."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (low <= value <= high) or (value == low and not least):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return value

    return parse


def _positive(text: str) -> float:
    return _number(0, 1e6, "a number above 0", least=False)(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _code_rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a code rate such as 1, 3/4 or 1/8")
    return rate


def _round_trip(text: str) -> float | None:
    return None if text == NO_FEEDBACK else _number(0, 60000, "none or a time in ms")(text)
