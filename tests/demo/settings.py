"""What the demo is told by environment variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from common.values import Size, parse_size
from proto.wire import Mode
from sender.audio.device import PREFIX
from sender.audio.stage import OFF, SOURCE, SYNTHETIC
from tests.bench.link.impairments import least_burst

T = TypeVar("T")
DEFAULT_SIZE = Size(256, 256)
CHANNELS = ("iid", "gilbert")
DEMO_PROFILES = ("resilient", "classic", "structure", "generative", "auto")
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "structure": {
        "source": "tabletop",
        "size": Size(512, 512),
        "fps": 10.0,
        "rate_kbps": 14.0,
        "loss": 0.3,
    },
    "generative": {
        "source": "tabletop",
        "size": Size(256, 256),
        "fps": 10.0,
        "rate_kbps": 14.0,
        "loss": 0.3,
    },
}
"""Defaults of a profile that differ from the others': what it is made for."""

LEAST_KBPS: Mapping[str, float] = {"structure": 2.0, "generative": 2.0}
DEFAULT_BURST = 6.0
LIVE_PREFIXES = ("/dev/", ":", "screen")


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


@dataclass(frozen=True)  # without slots: `of` reads the defaults from the class
class Settings:
    """One run. `source` None: the clip that the project renders itself. `burst` None: independent losses."""

    source: str | None = None
    audio: str = OFF
    """As the sender's `--audio`."""
    loss: float = 0.5
    rate_kbps: float = 60.0
    size: Size = DEFAULT_SIZE
    fps: float = 15.0
    seconds: float = 20.0
    seed: int = 1
    mode: Mode = Mode.AUTO
    profile: str = "resilient"
    burst: float | None = None
    outage: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    web_port: int = 8080
    weights: str = ""
    """Folder of the generative decoder's, ours if empty."""
    out: Path = Path("demo-out")

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Settings:
        """From SOURCE, LOSS, RATE_KBPS, SIZE, FPS, DEMO_SECONDS and so on. Raises DemoError."""

        def read(
            name: str, default: T, convert: Callable[[str], T], valid: Callable[[T], bool], rule: str
        ) -> T:
            text = environ.get(name, "").strip()
            if not text:
                return default
            try:
                value = convert(text)
            except ValueError:
                value = None
            if value is None or not valid(value):
                raise DemoError(f"{name}: must be {rule} (got {text!r})")
            return value

        profile = read("PROFILE", cls.profile, str, lambda v: v in DEMO_PROFILES, " or ".join(DEMO_PROFILES))
        usual = replace(cls(), **PRESETS.get(profile, {}))
        least = LEAST_KBPS.get(profile, 8.0)
        burst: float | None = None
        loss = read("LOSS", usual.loss, float, lambda v: 0 <= v <= 1, "between 0 and 1")
        seconds = read("DEMO_SECONDS", cls.seconds, float, lambda v: 2 <= v <= 86400, "at least 2 (seconds)")
        burst = read("BURST", burst, float, lambda v: v is not None and v >= 1, "at least 1 (packets)")
        channel = read("CHANNEL", "", str, lambda v: v in CHANNELS, " or ".join(CHANNELS))
        return cls(
            source=_source(environ.get("SOURCE", "").strip()) or usual.source,
            audio=_audio(environ.get("AUDIO", "").strip()),
            loss=loss,
            rate_kbps=read(
                *("RATE_KBPS", usual.rate_kbps, float),
                *(lambda v: least <= v < 1e6, f"at least {least:g} (kbit/s)"),
            ),
            size=read("SIZE", usual.size, parse_size, lambda v: True, "WIDTHxHEIGHT, multiples of 16"),
            fps=read(
                "FPS", usual.fps, float, lambda v: 1 <= v <= 60 and v % 0.25 == 0, "1 to 60 in steps of 0.25"
            ),
            seconds=seconds,
            seed=read("SEED", cls.seed, int, lambda v: True, "a whole number"),
            mode=read("MODE", cls.mode, Mode, lambda v: True, " or ".join(Mode)),
            profile=profile,
            burst=_burst(channel, burst, loss),
            outage=read(
                "OUTAGE", cls.outage, float, lambda v: 0 <= v <= seconds / 2, "0 to half of DEMO_SECONDS"
            ),
            delay_ms=read("DELAY_MS", cls.delay_ms, float, lambda v: 0 <= v <= 5000, "0 to 5000"),
            jitter_ms=read("JITTER_MS", cls.jitter_ms, float, lambda v: 0 <= v <= 5000, "0 to 5000"),
            weights=_folder(environ.get("WEIGHTS", "").strip()),
            web_port=read("WEB_PORT", cls.web_port, int, lambda v: 0 <= v < 65536, "a port number"),
            out=Path(environ.get("DEMO_OUT", "").strip() or cls.out),
        )

    @property
    def generative(self) -> bool:
        """Whether the receiver is to show what its generative decoder makes."""
        return self.profile == "generative"

    def described(self) -> dict[str, object]:
        """For summary.json."""
        return {
            "source": self.source or "scene",
            "audio": self.audio,
            "mode": str(self.mode),
            "profile": self.profile,
            "loss": self.loss,
            "channel": "iid" if self.burst is None else "gilbert",
            "burst": self.burst,
            "outage": self.outage,
            "delay_ms": self.delay_ms,
            "jitter_ms": self.jitter_ms,
            "rate_kbps": self.rate_kbps,
            "size": str(self.size),
            "fps": self.fps,
            "seconds": self.seconds,
            "seed": self.seed,
        }


def _burst(channel: str, burst: float | None, loss: float) -> float | None:
    """Mean run of losses, None for independent ones; without CHANNEL a BURST decides. Raises DemoError."""
    if channel == "iid" and burst is not None:
        raise DemoError("BURST: losses of CHANNEL=iid are independent; leave one of them out")
    if channel == "gilbert" and burst is None and loss < 1:
        return max(DEFAULT_BURST, least_burst(loss))
    return burst


def _audio(text: str) -> str:
    """A file as an absolute path, else as it is. Raises DemoError."""
    if text in ("", OFF, SOURCE, SYNTHETIC) or text.startswith(PREFIX):
        return text or OFF
    path = Path(text).expanduser()
    if not path.is_file():
        raise DemoError(
            f"AUDIO: there is no file {text}; give a file with sound, synthetic, source, alsa:NAME or off"
        )
    return str(path.resolve())


def _folder(text: str) -> str:
    """As an absolute path. Raises DemoError."""
    path = Path(text).expanduser()
    if text and not path.is_dir():
        raise DemoError(f"WEIGHTS: there is no folder {text}")
    return str(path.resolve()) if text else ""


def _source(text: str) -> str | None:
    """A file as an absolute path; anything live, and URLs, as they are."""
    if not text:
        return None
    if "://" in text or text.partition(":")[0] in ("synthetic", "tabletop") or text.startswith(LIVE_PREFIXES):
        return text
    path = Path(text).expanduser()
    if not path.is_file():
        raise DemoError(
            f"SOURCE: there is no file {text}; give a video file, /dev/videoN, a URL, screen, synthetic or tabletop"
        )
    return str(path.resolve())
