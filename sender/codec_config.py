"""Settings of what encodes."""

from __future__ import annotations

from typing import Literal

from common.config import Section, option

AUTO, STRUCTURE, GENERATIVE = "auto", "structure", "generative"
"""The profile that is chosen unit by unit; those with maps."""


class CodecSection(Section):
    """What encodes."""

    profile: Literal["resilient", "classic", "auto", "structure", "generative"] = option(
        "resilient",
        "`resilient`: shows something of whatever arrives; `classic`: H.265 and an erasure code, for good links; "
        "`auto`: moves between them as the receiver's reports tell (one-way: resilient); `structure`: small pictures "
        "and maps of classes (--maps), for 2 to 20 kbit/s; `generative`: the same, to be shown as the receiver's "
        "generative decoder sees it, if it has one",
        alias="--profile",
        metavar="resilient|classic|auto|structure|generative",
    )
    effort: float = option(
        0.36, "share of the time from unit to unit that coding may take: more looks better", ge=0.05, le=0.9
    )
    threads: int = option(2, "threads that code views of a unit side by side", ge=1, le=4)

    @property
    def structured(self) -> bool:
        """Whether small pictures and maps are sent."""
        return self.profile in (STRUCTURE, GENERATIVE)
