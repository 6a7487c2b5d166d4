"""What a unit is made of before it is decided what to send of it: base, latent, priors, and the ways to code it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from common.codec.entropy import MAX_ELEMENT, Elements
from common.codec.header import QUALITIES, CodecHeader
from common.codec.levels import LEFT_OUT
from common.codec.parse import lost_unit
from common.codec.pictures import Planes
from common.codec.ratemap import Candidates, Plane, RateMap, Receivers
from common.codec.recovery import Latent, Recoverer, RecoveryState
from common.codec.shadow import Shadow
from common.codec.weights import ModelFiles
from common.runtime import base as runtime


@dataclass(frozen=True, slots=True)
class Analysis:
    """A unit at one quality. `base_prior`: what its base tells of the latent; `reference`: the state it is coded
    against, if any; `base_bytes`: what the base takes of each packet."""

    header: CodecHeader
    latent: Plane
    base: Elements
    base_bytes: float
    base_prior: Plane
    reference: RecoveryState | None
    options: Candidates


class Analyser:
    """Runs the encoder network and, on the sender's model of the receiver, the recovery. Called by one thread."""

    def __init__(
        self, model: ModelFiles, recoverer: Recoverer, rate_map: RateMap, backend: str, threads: int
    ) -> None:
        self._model, self._recoverer, self._map = model, recoverer, rate_map
        self._network = runtime.load(model.graph("encoder"), backend, threads)

    def analyse(
        self, planes: tuple[Planes, Planes], header: CodecHeader, shadow: Shadow, unit: int
    ) -> Analysis:
        """The unit at the header's quality; the header's reference is set here."""
        latent, base = self._transform(planes, header.quality)
        base_bits = float(self._model.base_tables.cost(base, header.quality // 4).sum())
        prior = base_prior = _flat(self._recoverer.prior(header, base, None))
        back, reference = shadow.reference(unit)
        if reference is not None:
            prior = _flat(self._recoverer.prior(header, base, reference))
            if self._map.squared(latent - prior).sum() > self._map.squared(latent - base_prior).sum():
                back, reference, prior = 0, None, base_prior  # after a cut, say
        header = replace(header, reference=back)
        options = self._map.candidates(
            latent, prior, self._kept(shadow.hopeful, header, base), header.quality
        )
        return Analysis(header, latent, base, base_bits / 8, base_prior, reference, options)

    def receivers(self, unit: Analysis, shadow: Shadow) -> Receivers:
        """Whom to choose for: imagined ones, or the real one if what is under way arrives and if it does not. Once a
        unit."""
        imagined = self._map.imagined(unit.latent, unit.base_prior, unit.options)
        loss, confirmed = shadow.loss, shadow.confirmed
        if loss is None or confirmed is None:
            return imagined
        behind = self._map.squared(unit.latent - self._kept(confirmed, unit.header, unit.base))
        return Receivers(
            np.full((2, 1), loss, np.float32),
            np.array([[1 - loss], [loss]], np.float32),
            np.stack((unit.options.error[LEFT_OUT], behind)),
        )

    def _transform(self, planes: tuple[Planes, Planes], quality: int) -> tuple[Plane, Elements]:
        """Latent (channels, positions) and quantised base of the pictures."""
        told = np.array([quality / (QUALITIES - 1)], dtype=np.float32)
        out = self._network.run({"luma": planes[0], "chroma": planes[1], "quality": told})
        base = np.rint(_flat(out["base"]) / self._model.base_steps[quality][:, None])
        return _flat(out["latent"]), np.clip(base, -MAX_ELEMENT, MAX_ELEMENT).astype(np.int32)

    def _kept(self, state: RecoveryState, header: CodecHeader, base: Elements) -> Plane:
        """What a receiver in this state makes of a unit whose positions are all left out."""
        left_out = lost_unit(self._model, header)
        left_out.levels.fill(LEFT_OUT)
        return _flat(self._recoverer.foresee(state, replace(left_out, base=base)))


def _flat(planes: Latent) -> Plane:
    return planes.reshape(planes.shape[1], -1)
