"""Runs the three processes of the demo and measures them while they run."""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proto.crypto import KeyFileError, new_key_file
from sender.audio.stage import OFF
from tests.bench.relay.client import ControlError, ask
from tests.demo.live import HEADER, RX, TX, Instant, generated, row, sound
from tests.demo.measure import Window
from tests.demo.process import Child
from tests.demo.report import Files
from tests.demo.scene import SEED, render
from tests.demo.scrape import figures, stages_ms
from tests.demo.settings import DemoError, Settings
from tests.ports import free_port

START_SECONDS = 60.0
LOAD_SECONDS = 240.0  # of the generative decoder, or of a replay, on a slow machine
POLL_SECONDS = 0.05
SECONDS_AFTER = 0.5  # the processes run on for a moment after the window
CLIP_SECONDS = 30.0

Say = Callable[[str], None]


class DemoRun:
    """One run: `start`, `measure`, and `stop` in any case."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self.settings = settings
        self.files = Files(settings.out.resolve())
        self.outage: Window | None = None
        self._say = say
        self._children: dict[str, Child] = {}
        self._sender_port = free_port()
        self._receiver_port = free_port()
        self._control = ("127.0.0.1", free_port())
        self._web_port = free_port(settings.web_port)

    def prepare(self) -> str:
        """Output folder, key and clip; returns the source."""
        files = self.files
        try:
            files.clip_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DemoError(f"{files.out}: cannot be made: {error.strerror}") from None
        files.forget_last_run()
        try:
            new_key_file(files.key)
        except KeyFileError as error:
            raise DemoError(f"no key could be made: {error}") from None
        return self.settings.source or str(self._clip())

    def _clip(self) -> Path:
        size, fps = self.settings.size, self.settings.fps
        path = self.files.clip_folder / f"scene_{size}_{fps:g}fps_{SEED}.mp4"
        if not path.exists():
            self._say(f"rendering {CLIP_SECONDS:g} s of the scene")
            render(path, size, fps, CLIP_SECONDS)
        return path

    def start(self, source: str) -> None:
        """All three processes; returns when the first picture is on show. Raises DemoError."""
        settings, files = self.settings, self.files
        relay_port, receiver_port = free_port(), free_port()
        relay = [
            "tests.bench.relay",
            "--listen",
            f"127.0.0.1:{relay_port}",
            "--to",
            f"127.0.0.1:{receiver_port}",
        ]
        relay += ["--loss", str(settings.loss), "--seed", str(settings.seed), "--trace", str(files.trace)]
        relay += ["--delay-ms", str(settings.delay_ms), "--jitter-ms", str(settings.jitter_ms)]
        relay += ["--control", "{}:{}".format(*self._control)]
        if settings.burst is not None:
            relay += ["--burst", str(settings.burst)]
        receiver = ["receiver", "--listen", f"127.0.0.1:{receiver_port}", "--key-file", str(files.key)]
        receiver += ["--play", "web", "--play", str(files.received), "--play", "-"]
        receiver += ["--web.listen", f"127.0.0.1:{self._web_port}", "--frame-log", str(files.shown_log)]
        receiver += ["--metrics.listen", f"127.0.0.1:{self._receiver_port}"]
        if settings.generative:
            receiver += ["--generative", "on", "--record", str(files.capture)]
            receiver += ["--decode.weights", settings.weights] if settings.weights else []
        sender = [
            "sender",
            "--source",
            source,
            "--to",
            f"127.0.0.1:{relay_port}",
            "--key-file",
            str(files.key),
        ]
        sender += ["--rate.kbps", f"{settings.rate_kbps:g}", "--size", str(settings.size)]
        sender += ["--fps", f"{settings.fps:g}", "--frame-log", str(files.sent_log)]
        sender += ["--record", str(files.sent_video), "--metrics.listen", f"127.0.0.1:{self._sender_port}"]
        sender += ["--capture.loop", "true", "--profile", settings.profile]
        sender += ["--audio", settings.audio]
        for command in (receiver, sender):
            command += ["--session.mode", settings.mode]
        self._start("receiver", receiver, files.shown_video)
        self._start("relay", relay, files.relay_counts)
        self._wait("the receiver to listen", lambda: bool(figures(self._receiver_port).samples))
        if settings.generative:
            self._load_decoder()
        self._wait("the relay to listen", lambda: _is_taken(relay_port))
        self._start("sender", sender, None)
        self._wait("the first picture", self._has_shown)

    def _load_decoder(self) -> None:
        self._say("loading the generative decoder")
        self._wait("the generative decoder", lambda: not self._decoder_is("loading"), LOAD_SECONDS)
        if not self._decoder_is("ready"):
            log = self._children["receiver"].tail()
            raise DemoError(f"the generative decoder cannot be used; the receiver says:\n{log}")

    def _decoder_is(self, state: str) -> bool:
        return figures(self._receiver_port).get(RX + "generative_state", state=state) == 1

    def replay_plain(self) -> None:
        """The same pictures once more as they were received, for the comparison; after `stop`. Raises DemoError."""
        files = self.files
        arguments = [
            "receiver",
            "--replay",
            str(files.capture),
            "--replay-speed",
            "max",
            "--generative",
            "off",
        ]
        arguments += ["--play", "-", "--frame-log", str(files.plain_log), "--metrics.listen", "off"]
        child = Child("replay", arguments, files.process_log("replay"), files.plain_video)
        try:
            child.wait(LOAD_SECONDS)
        finally:
            child.stop()

    def _start(self, name: str, arguments: list[str], output: Path | None) -> None:
        self._children[name] = Child(name, arguments, self.files.process_log(name), output)

    def _wait(self, what: str, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                logs = "\n".join(f"  {child.name}:\n{child.tail()}" for child in self._children.values())
                raise DemoError(f"waited {seconds:g} s in vain for {what}\n{logs}")
            time.sleep(POLL_SECONDS)

    def _has_shown(self) -> bool:
        log = self.files.shown_log
        return log.exists() and b"\n" in log.read_bytes()[:4096]

    @property
    def page(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self._web_port}/"

    def check(self) -> None:
        """Raises DemoError when a process has ended."""
        for child in self._children.values():
            child.check()

    def measure(self) -> dict[str, Any]:
        """Waits until the window is over, telling figures each second; returns what the processes told."""
        seconds, started = self.settings.seconds, time.monotonic()
        breaks = started + (seconds - self.settings.outage) / 2 if self.settings.outage else math.inf
        first = before = self._instant()
        daemons = ("sender", "receiver")
        cpu = {name: self._children[name].cpu_seconds() for name in daemons}
        self._say(HEADER)
        while time.monotonic() - started < seconds:
            time.sleep(max(0.0, min(1.0, min(started + seconds, breaks) - time.monotonic())))
            self.check()
            if time.monotonic() >= breaks:
                self._break_off()
                breaks = math.inf
            now = self._instant()
            if now.at - before.at > 0.5:
                self._say(row(now, before, started, seconds))
            for name in daemons:
                self._children[name].sample_memory()
            before = now
        spent = time.monotonic() - started
        used = {name: self._children[name].cpu_seconds() - cpu[name] for name in daemons}
        last = self._instant()
        time.sleep(SECONDS_AFTER)
        dropped = last.receiver.get(RX + "sink_frames_dropped_total", sink="-")
        if not dropped == 0:  # nan: the figure is gone
            raise DemoError(
                f"{dropped:.0f} pictures could not be written to {self.files.shown_video}: disk too slow"
            )
        encode = {"encode", "entropy"}
        heard = {} if self.settings.audio == OFF else {"sound": sound(last, first)}
        made = generated(last, first) if self.settings.generative else {}
        return (
            heard
            | made
            | {
                "encode_ms": stages_ms(last.sender, first.sender, TX + "stage_seconds", encode),
                "decode_ms": stages_ms(last.receiver, first.receiver, RX + "stage_seconds", {"unit"}),
                "cpu_percent": {name: round(100 * used[name] / spent, 1) for name in daemons},
                "rss_mb": {name: round(self._children[name].peak_mb, 1) for name in daemons},
            }
        )

    def _break_off(self) -> None:
        """The link is dead from now on for as long as the settings say."""
        length = self.settings.outage
        try:
            ask(self._control, {"outage": length})
        except (ControlError, OSError) as error:
            raise DemoError(f"the relay did not take the outage: {error}") from None
        self.outage = Window(time.time(), length)
        self._say(f"    nothing gets through for {length:g} s")

    def _instant(self) -> Instant:
        return Instant(time.monotonic(), figures(self._sender_port), figures(self._receiver_port))

    def stop(self) -> dict[str, int]:
        """Ends every process that was started, sender first; returns the exit codes."""
        order = [name for name in ("sender", "receiver", "relay") if name in self._children]
        return {name: self._children[name].stop() for name in order}

    def relay_counts(self) -> dict[str, Any]:
        """What the relay told at its end."""
        text = (self.files.relay_counts).read_text()
        return dict(json.loads(text)) if text else {}


def _is_taken(port: int) -> bool:
    """Whether somebody has bound this UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
