"""The steps of the generative bench: who is measured on a clip at a rate, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from common.codec.contour.worth import counts, mean_iou
from common.video import Picture
from sender.contours.settings import ContoursSection
from tests.bench.generative_decoder import Decoder, Decoding, named
from tests.bench.generative_measures import Judge
from tests.bench.generative_peers import NAMES, Coded, Peers, Setting, settings
from tests.bench.generative_sets import TAIL, Clip
from tests.bench.generative_wire import Known, Link, Sent, frame_of
from tests.bench.quality import psnr_of_rgb, rgb

EVERY = 3  # measured pictures from one that peers' settings are compared by to the next; no divisor of their steps
TRIED_LIVE = 3  # sizes and frame rates of peers, the best without a limit on the delay


@dataclass(slots=True)
class Row:
    """One contestant on one clip at one rate. `kbps`: of the link, 0 where nothing is sent; `wire_kbps`: spent."""

    set: str
    clip: str
    size: str
    fps: float
    kbps: float
    contestant: str
    setting: str
    wire_kbps: float
    psnr: float
    ms_ssim: float
    haarpsi: float
    vmaf: float
    miou: float | None
    judge: str
    warp: float
    frozen: float
    map_miou: float | None
    seconds: float | None
    frames: int

    @property
    def key(self) -> tuple[object, ...]:
        """What a later row of the same replaces."""
        return self.set, self.clip, self.size, self.kbps, self.contestant, self.frames


@dataclass(slots=True)
class Found:
    """A row, and the middle picture of what was measured, for the strips."""

    row: Row
    picture: Picture


@dataclass(frozen=True, slots=True)
class Ways:
    """What is run. `decodings`: ours by name; `ablations`: whether those of the paper are run, with the first."""

    rates: Sequence[float]
    decodings: dict[str, Decoding]
    ablations: bool
    cache: Path
    decoder: Decoder


Step = Callable[[], list[Found]]


def usual(kbps: float) -> float:
    """What contours are given of a rate, as the sender's settings say."""
    return ContoursSection().part(kbps, 0.0)


class Bench:
    """One clip; everything that several rows need is made once, when the first of them needs it."""

    def __init__(self, clip: Clip, ways: Ways) -> None:
        self.clip, self.ways = clip, ways
        self.judge = Judge(clip)
        self._source = Known(clip.maps())
        self._peers = Peers(clip.pictures, clip.fps, ways.cache)
        self._sent: dict[tuple[float, float], Sent] = {}

    def steps(self) -> Iterator[Step]:
        """A row or two each."""
        yield self.source
        yield self.alone
        for kbps in self.ways.rates:
            for codec in NAMES:
                yield partial(self.peer, codec, kbps)
            yield partial(self.textures, kbps)
            for name, how in self.ways.decodings.items():
                yield partial(self.ours, name, kbps, usual(kbps), how)
            if self.ways.ablations:
                yield from self._ablations(kbps)

    def _ablations(self, kbps: float) -> Iterator[Step]:
        first = next(iter(self.ways.decodings.values()))
        for name, share, off in (("lambda_C = 0", 0.0, "control"), ("lambda_R = 0", 1.0, "restoration")):
            how = Decoding(first.steps, first.strength, **{"control": True, "restoration": True, off: False})
            yield partial(self.ours, f"{name}, half", kbps, usual(kbps), how)
            yield partial(self.ours, f"{name}, full", kbps, share, how)

    def sent(self, kbps: float, share: float) -> Sent:
        """The clip over the wire."""
        if (kbps, share) not in self._sent:
            self._sent[kbps, share] = Link(self.clip, self._source, kbps, share).run()
        return self._sent[kbps, share]

    def source(self) -> list[Found]:
        """The source itself: what its own noise and the flow's errors make of the warping error."""
        return [self._found(0.0, "source", "", 0.0, self.clip.measured)]

    def alone(self) -> list[Found]:
        """The autoencoder, nothing else lost."""
        shown = self.ways.decoder.alone(self.clip.measured)
        return [self._found(0.0, "autoencoder alone", "", 0.0, shown)]

    def peer(self, codec: str, kbps: float) -> list[Found]:
        """Its best setting by HaarPSI, by PSNR, and by HaarPSI live, with our delay; none where none fits."""
        clip, name = self.clip, NAMES[codec]
        coded = self._coded(settings(codec, clip.pictures, clip.fps, kbps), kbps)
        if not coded:
            return []
        coded.sort(key=self._haarpsi, reverse=True)
        found = [("best HaarPSI", coded[0], ""), ("best PSNR", max(coded, key=self._psnr), "")]
        delay_s = self.sent(kbps, usual(kbps)).delay_s
        orders = [setting for one in coded[:TRIED_LIVE] for setting in one.live]
        live = self._coded(orders, kbps, delay_s)
        if live:
            found.append(("live", max(live, key=self._haarpsi), f", {delay_s:.1f} s"))
        return [
            self._found(kbps, f"{name}, {how}", _label(one) + within, one.kbps, one.shown[clip.since : -TAIL])
            for how, one, within in found
        ]

    def _coded(self, tried: Iterable[Setting], kbps: float, delay_s: float = math.inf) -> list[Coded]:
        return [one for each in tried if (one := self._peers.best(each, kbps, delay_s)) is not None]

    def _haarpsi(self, coded: Coded) -> float:
        return _haarpsi(self.clip.measured[::EVERY], coded.shown[self.clip.since : -TAIL : EVERY])

    def _psnr(self, coded: Coded) -> float:
        pairs = zip(self.clip.measured, coded.shown[self.clip.since : -TAIL], strict=True)
        return float(np.mean([psnr_of_rgb(rgb(one), rgb(other)) for one, other in pairs]))

    def textures(self, kbps: float) -> list[Found]:
        """The small pictures enlarged, as profile `structure` shows them; and with all of the rate."""
        out = []
        for name, share in (("texture (structure)", usual(kbps)), ("texture, full", 0.0)):
            sent = self.sent(kbps, share)
            shown = [one.texture for one in sent.frames if one.texture is not None]
            out.append(self._found(kbps, name, "", sent.kbps, shown, self._maps(sent) if share else None))
        return out

    def ours(self, name: str, kbps: float, share: float, how: Decoding) -> list[Found]:
        """The generative decoder; half the rate where one part of what was sent is not used."""
        sent = self.sent(kbps, share)
        spent = sent.texture_kbps * how.restoration + sent.contour_kbps * how.control
        known = [
            one.texture is not None if how.restoration else one.labels is not None for one in sent.frames
        ]
        if not all(known):
            print(
                f"  {name}: {known.count(False)} of {len(known)} frames have nothing to be made from",
                flush=True,
            )
            if not any(known):
                return []
        shown, seconds = self.ways.decoder.shown(sent, how)
        setting = named(how.steps)
        if how.strength is not None:
            setting += f", strength {how.strength:g}"
        maps = self._maps(sent) if how.control else None
        return [self._found(kbps, name, setting, spent, shown, maps, seconds)]

    def _maps(self, sent: Sent) -> float | None:
        """Mean IoU of the maps received: against the judge's where they are of its classes, else the source's own."""
        received = [one.labels for one in sent.frames]
        if sent.legend.name == self.clip.judge:
            return self.judge.miou(received)
        classes = len(sent.legend.classes)
        total = np.zeros((classes, classes), np.int64)
        for index, labels in enumerate(received, self.clip.since):
            exact = self._source.map(frame_of(self.clip, index))
            if exact is not None and labels is not None:
                total += counts(exact.labels, np.minimum(labels, classes - 1), classes)
        return round(mean_iou(total), 4)

    def _found(
        self, kbps: float, name: str, setting: str, spent: float, shown: Sequence[Picture],
        map_miou: float | None = None, seconds: float | None = None,
    ) -> Found:  # fmt: skip
        clip = self.clip
        got = self.judge.figures(shown)
        row = Row(
            clip.set, clip.name, str(clip.size), clip.fps, kbps, name, setting, round(spent, 3), got.psnr, got.ms_ssim,
            got.haarpsi, got.vmaf, got.miou, clip.judge, got.warp, got.frozen, map_miou,
            None if seconds is None else round(seconds, 3), len(shown),
        )  # fmt: skip
        return Found(row, shown[len(shown) // 2])


def _label(coded: Coded) -> str:
    return f"{coded.setting.label}, crf {coded.quality:g}"


def _haarpsi(sent: Sequence[Picture], shown: Sequence[Picture]) -> float:
    import torch

    from common.training.haarpsi import haarpsi_colour

    pairs = [[torch.from_numpy(rgb(one)) for one in pair] for pair in zip(sent, shown, strict=True)]
    with torch.inference_mode():
        return float(np.mean([float(haarpsi_colour(one, other)) for one, other in pairs]))
