"""The run itself: real daemons, the relay, a browser's requests, and what is done to all of them."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.request

from proto.crypto import new_key_file
from tests.bench.soak.phases import OUTAGE_SECONDS, PHASES, Act, Phase
from tests.bench.soak.samples import Life
from tests.bench.soak.view import Moment
from tests.demo.process import Child
from tests.demo.scrape import figures
from tests.e2e.daemons import RX, Bench, random_bytes
from tests.ports import free_port

SAMPLE_SECONDS = 5.0
NOISE_SECONDS = 10.0
RATES = (60.0, 100.0)  # before and after the reload
PATIENCE = 30.0  # s, until there is a picture after something was started


class Soak:
    """`lives`, `moments` and `complaints` fill while it goes on."""

    def __init__(self, bench: Bench, minutes: float) -> None:
        self.lives: list[Life] = []
        self.moments: list[Moment] = []
        self.complaints: list[str] = []
        self.recoveries: dict[str, float] = {}
        """By what was started again, seconds to the first picture of what is sent then."""
        self._bench = bench
        self._phase_seconds = 60 * minutes / len(PHASES)
        self._web_port = free_port()
        self._config = bench.folder / "sender.yaml"
        self._recordings = 0
        self._begun = 0.0

    def run(self) -> None:
        """All phases. Raises DemoError when a process ends by itself."""
        bench = self._bench
        self._set_rate(RATES[0])
        self._receiver, self._receiver_life = self._start_receiver()
        _, self._relay_port = bench.relay("--seed", "1")
        self._sender, self._sender_life = self._start_sender()
        bench.wait("the first picture", lambda: self._shown() > 0)
        self._begun = time.monotonic()
        for number, phase in enumerate(PHASES):
            self._tell(f"{phase.name}")
            bench.ask_relay(set=phase.settings)
            self._act(phase, number)
            self._watch(number, self._begun + (number + 1) * self._phase_seconds)
        for child in (self._sender, self._receiver):
            self._stop(child)

    def _act(self, phase: Phase, number: int) -> None:
        bench = self._bench
        known = bench.figures().get(RX + "takeovers_total")
        match phase.act:
            case Act.OUTAGE:
                bench.ask_relay(outage=OUTAGE_SECONDS)
                bench.ask_relay(roam=True)
            case Act.STOP_SENDER:
                self._stop(self._sender)
                self._sender, self._sender_life = self._start_sender()
            case Act.KILL_SENDER:
                bench.children.remove(self._sender)
                os.kill(self._sender.pid, signal.SIGKILL)
                self._sender.stop()
                self._sender, self._sender_life = self._start_sender()
            case Act.STOP_RECEIVER:
                self._stop(self._receiver)
                self._receiver, self._receiver_life = self._start_receiver()
            case Act.NEW_KEY:
                self._stop(self._sender)
                self._stop(self._receiver)
                bench.key = bench.folder / "other.key"
                new_key_file(bench.key)
                self._receiver, self._receiver_life = self._start_receiver()
                self._sender, self._sender_life = self._start_sender()
            case Act.NOISE:
                with random_bytes(bench.udp_port):
                    self._watch(number, time.monotonic() + min(NOISE_SECONDS, self._phase_seconds / 2))
            case Act.RELOAD:
                self._set_rate(RATES[1])
                os.kill(self._sender.pid, signal.SIGHUP)
        if phase.act in (Act.STOP_SENDER, Act.KILL_SENDER, Act.STOP_RECEIVER, Act.NEW_KEY):
            same = phase.act in (Act.STOP_SENDER, Act.KILL_SENDER)
            self._await_picture(phase.name, known if same else 0.0)

    def _start_receiver(self) -> tuple[Child, Life]:
        self._recordings += 1
        web = ("--play", "web", "--web.listen", f"127.0.0.1:{self._web_port}")
        file = ("--play", str(self._bench.folder / f"shown{self._recordings}.mkv"))
        self.lives.append(Life("receiver"))
        return self._bench.receiver(*web, *file, frame_log=False), self.lives[-1]

    def _start_sender(self) -> tuple[Child, Life]:
        self.lives.append(Life("sender"))
        child = self._bench.sender(self._relay_port, None, "--config", str(self._config))
        return child, self.lives[-1]

    def _stop(self, child: Child) -> None:
        if code := self._bench.stop(child):
            self.complaints.append(f"{child.name}: exit code {code} when stopped")

    def _set_rate(self, kbps: float) -> None:
        self._config.write_text(f"rate: {{kbps: {kbps:g}}}\nsession: {{rekey_minutes: 1}}\n")

    def _await_picture(self, name: str, known: float) -> None:
        """Until a picture is shown of another run of the sender than the `known` ones, or at a new receiver."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE:
            figures = self._bench.figures()
            shown, stale = (figures.get(f"{RX}frames_{kind}_total") for kind in ("shown", "repeated"))
            if figures.get(RX + "takeovers_total") > known and shown - stale > 0:
                self.recoveries[name] = time.monotonic() - begun
                return
            time.sleep(0.1)
        self.complaints.append(f"{name}: no picture after {PATIENCE:g} s")

    def _shown(self) -> float:
        return self._bench.figures().get(RX + "frames_shown_total")

    def _watch(self, phase: int, until: float) -> None:
        """Samples and asks for what a browser asks for, until then."""
        while (now := time.monotonic()) < until:
            at, seen = now - self._begun, self._bench.figures()
            self._receiver_life.sample(self._receiver, seen, at)
            self._sender_life.sample(self._sender, figures(self._bench.sender_metrics_port), at)
            self.moments.append(Moment(at, phase, seen))
            try:
                poll(self._web_port)
            except OSError as error:
                self.complaints.append(f"page at {at:.0f} s: {error}")
            time.sleep(max(0.0, min(now + SAMPLE_SECONDS, until) - time.monotonic()))

    def _tell(self, text: str) -> None:
        print(f"{time.monotonic() - self._begun:6.0f} s  {text}", file=sys.stderr, flush=True)


def poll(web_port: int) -> None:
    """What a browser asks for: the page, the figures, a picture, an event. Raises OSError."""
    for path, size in (("", -1), ("stats.json", -1), ("events", 100), ("stream.mjpeg", 4000)):
        with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/{path}", timeout=5.0) as answer:
            if not answer.read(None if size < 0 else size):
                raise OSError(f"/{path}: empty")
