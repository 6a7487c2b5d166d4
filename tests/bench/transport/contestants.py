"""Who takes part, with which settings, and how each is started."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.link.impairments import Impairments
from tests.bench.transport.processes import missing
from tests.bench.transport.workload import HOST, Feed, Workload

WFB_BLOCK = (8, 12)  # data and all packets: the default of WFB-ng
KNOWN_OVERHEAD = 8.0  # parity to source packets, where the loss is known: 0.8 needs that many


@dataclass(frozen=True, slots=True)
class Setup:
    """What the commands of one run are made from. Ports of this host."""

    feed: int  # the sender gets its packets here
    relay: int  # and sends to here
    far: int  # where the relay sends to
    upstream: int  # from here
    deliver: int  # where the receiver delivers to
    signal: int  # for what two ends agree on besides
    folder: Path
    workload: Workload
    link: Impairments


Commands = tuple[list[str], list[str]]  # of the receiver, of the sender


@dataclass(frozen=True, slots=True)
class Contestant:
    """A transport with its settings. `whole`: a unit is usable only when all of it came."""

    key: str
    label: str
    commands: Callable[[Setup], Commands]
    budget_s: float = 0.5
    feed: Feed = Feed.PACED
    whole: bool = True
    tools: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    hint: str = ""  # where the tools come from
    messages: bool = False  # carries control messages, not media

    def lacks(self) -> str:
        """What is missing to run it; empty if nothing is."""
        absent = missing(self.tools)
        absent += [module for module in self.modules if importlib.util.find_spec(module) is None]
        return f"not run: {', '.join(absent)} not installed ({self.hint})" if absent else ""


def _ours(delivery: str, **flags: str) -> Callable[[Setup], Commands]:
    def commands(setup: Setup) -> Commands:
        base = [sys.executable, "-m", "tests.bench.transport.ours"]
        rest = ["--delivery", delivery, "--workload", setup.workload.name]
        rest += [part for name, value in flags.items() for part in (f"--{name}", value)]
        receive = [*base, "receive", *rest, "--far", str(setup.far), "--near", str(setup.deliver)]
        return receive, [*base, "send", *rest, "--far", str(setup.relay), "--near", str(setup.feed)]

    return commands


def _protected_knowing(setup: Setup) -> Commands:
    flags = {"loss": f"{setup.link.loss:g}", "max-overhead": f"{KNOWN_OVERHEAD:g}"}
    if setup.link.burst is not None:
        flags["burst"] = f"{setup.link.burst:g}"
    return _ours("protected", **flags)(setup)


def _srt(latency_ms: int) -> Callable[[Setup], Commands]:
    def commands(setup: Setup) -> Commands:
        base, options = ["srt-live-transmit", "-q"], f"latency={latency_ms}&transtype=live"
        receive = [f"srt://{HOST}:{setup.far}?mode=listener&{options}", f"udp://{HOST}:{setup.deliver}"]
        send = [f"udp://{HOST}:{setup.feed}", f"srt://{HOST}:{setup.relay}?mode=caller&{options}"]
        return [*base, *receive], [*base, *send]

    return commands


def _rist(buffer_ms: int) -> Callable[[Setup], Commands]:
    def commands(setup: Setup) -> Commands:
        rest = ["-p", "1", "-v", "3", "-S", "0", "-b", str(buffer_ms)]
        receive = ["-i", f"rist://@{HOST}:{setup.far}", "-o", f"udp://{HOST}:{setup.deliver}"]
        send = ["-i", f"udp://@{HOST}:{setup.feed}", "-o", f"rist://{HOST}:{setup.relay}"]
        return ["ristreceiver", *rest, *receive], ["ristsender", *rest, *send]

    return commands


def _webrtc(path: str) -> Callable[[Setup], Commands]:
    def commands(setup: Setup) -> Commands:
        base = [sys.executable, "-m", "tests.bench.transport.webrtc"]
        rest = ["--path", path, "--workload", setup.workload.name, "--signal", str(setup.signal)]
        receive = ["--near", str(setup.deliver), "--far", str(setup.far), "--relay", str(setup.upstream)]
        send = ["--near", str(setup.feed), "--far", str(setup.relay)]
        return [*base, "receive", *rest, *receive], [*base, "send", *rest, *send]

    return commands


def _wfb(setup: Setup) -> Commands:
    subprocess.run(["wfb_keygen"], cwd=setup.folder, check=True, capture_output=True, timeout=10.0)
    data, total = (str(number) for number in WFB_BLOCK)
    receive = ["wfb_rx", "-a", str(setup.far), "-K", str(setup.folder / "gs.key")]
    receive += ["-c", HOST, "-u", str(setup.deliver)]
    send = ["wfb_tx", "-D", str(setup.relay), "-K", str(setup.folder / "drone.key")]
    return receive, [*send, "-k", data, "-n", total, "-u", str(setup.feed), "lo"]


Needs = dict[str, Any]  # tools, modules and hint of a Contestant

_SRT: Needs = {"tools": ("srt-live-transmit",), "hint": "Debian: srt-tools"}
_RIST: Needs = {"tools": ("ristsender", "ristreceiver"), "hint": "Debian: rist-tools"}
_WFB: Needs = {"tools": ("wfb_tx", "wfb_rx", "wfb_keygen"), "hint": "WFB-ng, from source; no package has it"}
_RTC: Needs = {"modules": ("aiortc",), "hint": "extra [web]"}


def _peer(
    key: str, label: str, commands: Callable[[Setup], Commands], needs: Needs, **rest: Any
) -> Contestant:
    return Contestant(key, label, commands, **needs, **rest)


CONTESTANTS = (
    Contestant("tolerant", "semcast tolerant", _ours("tolerant"), feed=Feed.AHEAD, whole=False),
    Contestant("protected", "semcast protected, loss unknown", _ours("protected")),
    Contestant("protected-known", "semcast protected, loss known", _protected_knowing),
    Contestant("reliable", "semcast reliable", _ours("reliable"), budget_s=30.0, messages=True),
    _peer("srt-500", "SRT 500 ms", _srt(500), _SRT),
    _peer("srt-1000", "SRT 1000 ms", _srt(1000), _SRT, budget_s=1.0),
    _peer("rist-500", "RIST 500 ms", _rist(500), _RIST),
    _peer("rist-1000", "RIST 1000 ms", _rist(1000), _RIST, budget_s=1.0),
    _peer("webrtc-data", "aiortc data channel, 500 ms", _webrtc("data"), _RTC),
    _peer("webrtc-rtp", "aiortc RTP with NACK", _webrtc("rtp"), _RTC, feed=Feed.WHOLE),
    _peer("wfb", "WFB-ng 8/12", _wfb, _WFB),
)
ONE_WAY = Contestant(
    "tolerant-one-way",
    "semcast tolerant, one-way",
    _ours("tolerant", mode="one-way"),
    feed=Feed.AHEAD,
    whole=False,
)
BY_KEY = {contestant.key: contestant for contestant in (*CONTESTANTS, ONE_WAY)}
