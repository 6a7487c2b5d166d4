"""The rate control on links that change, lose and queue, in virtual time: what it reaches, and what it must.

`python -m tests.bench.rate [--seeds 20] [--only a b] [--out DIR]` prints a table, writes it as JSON, and a plot of
each scenario (first seed). Exit code 1 if a check fails. All rates are wire rates, 28 bytes of IP and UDP a packet
included; the queueing delay of a packet is how long it waits before the bottleneck begins to send it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.rate_plots import draw
from tests.bench.rate_scenarios import SCENARIOS, Scenario


@dataclass(slots=True)
class Row:
    """A check over all seeds."""

    scenario: Scenario
    name: str
    limit: str
    values: list[float] = field(default_factory=list)
    passed: int = 0


def table(scenarios: Sequence[Scenario], seeds: Sequence[int]) -> list[Row]:
    """Every check of every scenario, over the seeds."""
    rows = []
    for scenario in scenarios:
        runs = [scenario.run(seed) for seed in seeds]
        for checks in zip(*(run.checks for run in runs), strict=True):
            row = Row(scenario, checks[0].name, checks[0].limit, [check.value for check in checks])
            row.passed = sum(check.passed for check in checks)
            rows.append(row)
    return rows


def text(rows: Sequence[Row]) -> str:
    """As a Markdown table."""
    lines = [
        "| | scenario | figure | least | mean | most | must be | passed |",
        "|---|---|---|---:|---:|---:|---|---:|",
    ]
    for row in rows:
        least, mean, most = min(row.values), sum(row.values) / len(row.values), max(row.values)
        figures = f"{least:.3g} | {mean:.3g} | {most:.3g}"
        passed = f"{row.passed}/{len(row.values)}"
        lines.append(
            f"| {row.scenario.key} | {row.scenario.title} | {row.name} | {figures} | {row.limit} | {passed} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.rate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=101, help="first seed; 1 to 10 were used for tuning")
    parser.add_argument("--only", nargs="+", choices=[scenario.key for scenario in SCENARIOS])
    parser.add_argument("--out", type=Path, help="folder for rate.json, rate.md and the plots")
    args = parser.parse_args(argv)
    chosen = [scenario for scenario in SCENARIOS if not args.only or scenario.key in args.only]
    rows = table(chosen, range(args.first, args.first + args.seeds))
    print(text(rows))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "rate.md").write_text(text(rows) + "\n")
        data = [
            {"scenario": r.scenario.key, "figure": r.name, "must_be": r.limit, "values": r.values}
            for r in rows
        ]
        (args.out / "rate.json").write_text(json.dumps(data, indent=1) + "\n")
        for scenario in chosen:
            draw(scenario, scenario.run(args.first), args.out / f"{scenario.key}.png")
    return int(any(row.passed < len(row.values) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
