"""deploy/grafana/dashboards/semcast.json: `python -m tests.deploy.dashboard` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.deploy.grafana import Json, dashboard, datasource_variable, label_variable
from tests.deploy.panels_daemons import PLAYOUT, PROCESS, STAGES
from tests.deploy.panels_link import LINK, OVERVIEW, RATE
from tests.deploy.panels_maps import MAPS
from tests.deploy.panels_sound import SOUND

TARGET = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards" / "semcast.json"

BUILDS = '{__name__=~"semcast_(sender|receiver)_build_info"}'
ROWS = (OVERVIEW, LINK, RATE, STAGES, PLAYOUT, SOUND, MAPS, PROCESS)


def build() -> Json:
    """The dashboard as Grafana imports it."""
    return dashboard(
        "semcast",
        "semcast",
        "Live video over very lossy links: sender, link, receiver and what viewers see of it.",
        (
            datasource_variable(),
            label_variable("job", "job", BUILDS),
            label_variable("instance", "instance", BUILDS.replace("}", ', job=~"$job"}')),
        ),
        ROWS,
    )


def queries(board: Json) -> Iterator[str]:
    """Every query of a dashboard, those of its variables not."""
    for panel in board["panels"]:
        for inner in (panel, *panel.get("panels", ())):
            yield from (target["expr"] for target in inner.get("targets", ()))
    yield from (mark["expr"] for mark in board["annotations"]["list"])


def text() -> str:
    """As it is written."""
    return json.dumps(build(), indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text())
    print(TARGET)
