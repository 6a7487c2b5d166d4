"""The profile of each unit follows what is reported."""

from __future__ import annotations

import pytest

from common.codec.base import Budget
from common.codec.registry import create_switching_encoder
from common.video import Picture
from sender.choose import ChoosingEncoder, Heard
from sender.profile import CLASSIC, RESILIENT, ProfileController, Rules
from tests.common.codec.scene import sized_pictures

SIZE, FPS = 64, 15.0
UNIT_S = 4 / FPS
BUDGET = Budget(250 * 125 * UNIT_S, 57, 1171)


class Sending:
    """An encoder of which every unit is reported right after it."""

    def __init__(self, kbps: float = 250.0) -> None:
        self.now = 0.0
        self.heard = Heard(kbps, True, 0.05, False)
        switching = create_switching_encoder(SIZE, SIZE, FPS)
        self.encoder = ChoosingEncoder(
            switching,
            ProfileController(Rules.of_video(SIZE, SIZE, FPS)),
            lambda: self.heard,
            lambda: self.now,
        )
        self.pictures: list[Picture] = sized_pictures(SIZE, SIZE)
        self.unit = 0

    def run(self, seconds: float, arrives: bool = True, reported: bool = True) -> list[str]:
        """Profiles of the units sent meanwhile."""
        profiles = []
        for _ in range(round(seconds / UNIT_S)):
            encoded = self.encoder.encode(self.pictures, self.unit, BUDGET)
            profiles.append(self.encoder.profile)
            if reported:
                self.encoder.report(self.unit, [arrives] * len(encoded.payloads))
            self.unit += 1
            self.now += UNIT_S
        return profiles


def test_a_good_link_gets_classic_after_a_while() -> None:
    profiles = Sending().run(10.0)
    assert profiles[0] == RESILIENT
    assert profiles[-1] == CLASSIC
    assert profiles.index(CLASSIC) * UNIT_S >= 3.0
    assert profiles == sorted(profiles, reverse=True)  # changed once


def test_a_lost_unit_ends_it_with_the_next_one() -> None:
    sending = Sending()
    sending.run(10.0)
    assert sending.run(2 * UNIT_S, arrives=False) == [CLASSIC, RESILIENT]
    assert sending.encoder.switches == 2


@pytest.mark.parametrize("heard", [Heard(250.0, False, 0.05, False), Heard(250.0, True, 0.05, True)])
def test_silence_and_congestion_end_it_at_once(heard: Heard) -> None:
    sending = Sending()
    sending.run(10.0)
    sending.heard = heard
    assert sending.run(UNIT_S) == [RESILIENT]


def test_without_reports_there_is_no_classic() -> None:
    sending = Sending()
    sending.heard = Heard(250.0, False, None, False)
    assert set(sending.run(15.0, reported=False)) == {RESILIENT}
