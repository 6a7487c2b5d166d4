"""What both daemons export, without running them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client.core import Metric

from common.metrics import Described, Exporter
from proto.crypto import load_key, new_key_file
from proto.session import SenderSession
from receiver.app import App
from receiver.config import configure
from sender.app import Sender
from sender.build import capture_options, make_audio, make_maps
from sender.capture import create_source
from sender.config import load_config
from tests.fakes import FakeDecoder, FakeEncoder, fake_describe

DAEMONS = ("sender", "receiver")


@dataclass(frozen=True)
class Exposition:
    """What one daemon exports before anything has happened."""

    described: tuple[Described, ...]
    families: dict[str, Metric]
    """By name, with the `_total` of counters."""

    @property
    def names(self) -> frozenset[str]:
        """Names that a query may use: of samples, so that a histogram has three."""
        found = set(self.families)
        for name, family in self.families.items():
            if family.type == "histogram":
                found |= {name + suffix for suffix in ("_bucket", "_sum", "_count")}
        return frozenset(found)

    def values(self, name: str, label: str) -> list[str]:
        """The values that a label has from the start, in order."""
        found = (sample.labels.get(label) for sample in self.families[name].samples)
        return list(dict.fromkeys(value for value in found if value is not None))


@cache
def exposition(daemon: str) -> Exposition:
    """Of `sender` or `receiver`."""
    with TemporaryDirectory() as folder:
        key = Path(folder) / "link.key"
        new_key_file(key)
        exporter = _receiver(key) if daemon == "receiver" else asyncio.run(_sender(key))
    families = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in exporter.registry.collect()
    }
    return Exposition(tuple(exporter.catalog), families)


def _receiver(key: Path) -> Exporter:
    flags = ["--key-file", str(key), "--play", "-"]
    return App(configure(flags), fake_describe, FakeDecoder).metrics.exporter


async def _sender(key: Path) -> Exporter:
    flags = ["--to", "127.0.0.1:9", "--key-file", str(key), "--metrics.listen", "off", "--audio", "synthetic"]
    flags += ["--profile", "structure"]
    config = load_config(flags)
    session = SenderSession(load_key(key))
    source = create_source(config.source, capture_options(config))
    encoder = FakeEncoder(config.size.width, config.size.height, config.fps)
    return Sender(
        config, session, source, encoder, make_audio(config), make_maps(config, source)
    ).metrics.exporter
