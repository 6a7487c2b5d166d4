"""Profiles as one: an encoder that may change between two with any unit, and the decoder that follows it.

All units have the same number of pictures and one row of numbers, so a receiver's schedule sees no difference. The
first unit of `classic` after another profile is a key unit; units of `resilient` stand alone anyhow. What was shown
last goes to the decoder that takes over, so that a loss at the change is concealed from it. Texture units (profile
`structure`) are longer, and a stream of them has no other units: only the decoder knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.codec.base import Budget, DecodedUnit, EncodedUnit, Segments, UnitDecoder
from common.codec.classic.decoder import ClassicDecoder
from common.codec.classic.encoder import ClassicEncoder
from common.codec.classic.header import MODEL
from common.codec.classic.protection import Shape
from common.codec.decoder import ResilientDecoder
from common.codec.encoder import ResilientEncoder
from common.codec.plan import LossBelief
from common.codec.texture.header import MODEL as TEXTURE
from common.video import Picture

RESILIENT, CLASSIC = "resilient", "classic"
REPORTED_UNITS = 64  # units back that a report may tell of


class SwitchingEncoder:
    """Encodes each unit in the profile that is set. Called by one thread, but `profile` may be set by any."""

    def __init__(self, resilient: ResilientEncoder, classic: ClassicEncoder) -> None:
        if resilient.frames_per_unit != classic.frames_per_unit:
            raise ValueError("frames_per_unit: must be the same in all profiles")
        self._resilient, self._classic = resilient, classic
        self._belief = LossBelief()
        self._profile = self._last = RESILIENT
        self._profiles: dict[int, str] = {}  # of the units that were sent last
        self.switches = 0

    @property
    def frames_per_unit(self) -> int:
        """Pictures of one access unit."""
        return self._resilient.frames_per_unit

    @property
    def profile(self) -> str:
        """Of the next unit."""
        return self._profile

    @profile.setter
    def profile(self, name: str) -> None:
        if name not in (RESILIENT, CLASSIC):
            raise ValueError(f"profile: must be {RESILIENT} or {CLASSIC} (got {name!r})")
        self._profile = name

    def prospect(self, budget: Budget) -> Shape:
        """How `classic` would protect a unit now, and how often it would lose one for all that."""
        return self._classic.prospect(budget)

    def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
        """See UnitEncoder.encode."""
        profile = self._profile
        if profile != self._last:
            self.switches += 1
            if profile == CLASSIC:
                self._classic.restart()
            else:
                self._resilient.believe(self._belief.weights)
        self._last = self._profiles[unit] = profile
        self._profiles.pop(unit - REPORTED_UNITS, None)
        encoder = self._classic if profile == CLASSIC else self._resilient
        return encoder.encode(pictures, unit, budget)

    def report(self, unit: int, arrived: Sequence[bool] | None) -> None:
        """See UnitEncoder.report. What either profile loses tells both of the link."""
        profile = self._profiles.pop(unit, None)
        if profile is None:
            return
        if arrived:
            self._belief.learn(arrived)
        if profile == CLASSIC:
            self._classic.report(unit, arrived)
        else:
            self._resilient.report(unit, arrived)
            self._classic.observe(arrived or ())


class SwitchingDecoder:
    """Decodes each unit in the profile that its payloads tell. Called by one thread."""

    def __init__(
        self,
        resilient: ResilientDecoder,
        classic: ClassicDecoder,
        make_texture: Callable[[], UnitDecoder] | None = None,
    ) -> None:
        """`make_texture`: called when the first texture unit comes; None: there are none."""
        self._resilient, self._classic = resilient, classic
        self._make_texture = make_texture
        self._texture: UnitDecoder | None = None
        self._decoder: UnitDecoder = resilient
        self._shown: list[Picture] = []  # the last two

    def decode(self, received: Segments | None) -> DecodedUnit:
        """See UnitDecoder.decode. What is lost wholly is concealed by the profile that was last."""
        payload = next((part for part in received.segments if part), None) if received else None
        if payload is not None:
            self._take(self._of(payload[0] >> 4))
        decoded = self._decoder.decode(received)
        shown = [*self._shown, *decoded.pictures][-2:]
        self._shown = [picture for picture in shown if picture.shape == shown[-1].shape]
        return decoded

    def _of(self, model: int) -> UnitDecoder:
        if model == TEXTURE and self._make_texture is not None:
            if self._texture is None:
                self._texture = self._make_texture()
            return self._texture
        return self._classic if model == MODEL else self._resilient

    def _take(self, decoder: UnitDecoder) -> None:
        if decoder is self._decoder:
            return
        self._decoder = decoder
        if not self._shown:
            return
        if decoder is self._classic:
            self._classic.adopt(self._shown[-1])
        elif decoder is self._resilient:
            self._resilient.adopt(self._shown[0], self._shown[-1])
