"""The rate control on links that change, lose and queue, in virtual time: what it reaches, and what it must.

`python -m tests.bench.rate [--seeds 10] [--only a b] [--out DIR]` prints a table, writes it as JSON, and a plot of
each scenario (first seed). A limit holds if the median over the seeds keeps it (of an even number of them the worse
middle one); "worst" is the seed farthest from it, "passed" how many keep it. Exit code 1 if a limit does not hold.
All rates are wire rates, 28 bytes of IP and UDP a packet included; the queueing delay of a packet is how long it waits
before the bottleneck begins to send it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rate_plots import draw
from tests.bench.rate_scenarios import SCENARIOS, Check, Scenario


@dataclass(frozen=True, slots=True)
class Row:
    """A check over all seeds, one or more."""

    scenario: Scenario
    checks: tuple[Check, ...]  # by seed

    @property
    def ranked(self) -> list[Check]:
        """From the best to the worst."""
        return sorted(self.checks, key=lambda check: check.value, reverse=self.checks[0].least is not None)

    @property
    def median(self) -> Check:
        """Of an even number the worse of both."""
        return self.ranked[len(self.checks) // 2]

    @property
    def passed(self) -> int:
        """How many seeds keep the limit."""
        return sum(check.passed for check in self.checks)


def table(scenarios: Sequence[Scenario], seeds: Sequence[int]) -> list[Row]:
    """Every check of every scenario, over the seeds."""
    rows = []
    for scenario in scenarios:
        runs = [scenario.run(seed) for seed in seeds]
        rows += [Row(scenario, checks) for checks in zip(*(run.checks for run in runs), strict=True)]
    return rows


def text(rows: Sequence[Row]) -> str:
    """As a Markdown table."""
    lines = [
        "| | scenario | figure | best | median | worst | must be | passed |",
        "|---|---|---|---:|---:|---:|---|---:|",
    ]
    for row in rows:
        ranked, one = row.ranked, row.checks[0]
        figures = " | ".join(f"{check.value:.3g}" for check in (ranked[0], row.median, ranked[-1]))
        passed = f"{row.passed}/{len(row.checks)}"
        lines.append(
            f"| {row.scenario.key} | {row.scenario.title} | {one.name} | {figures} | {one.limit} | {passed} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.rate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=101, help="first seed; 1 to 60 were used for tuning")
    parser.add_argument("--only", nargs="+", choices=[scenario.key for scenario in SCENARIOS])
    parser.add_argument("--out", type=Path, help="folder for rate.json, rate.md and the plots")
    args = parser.parse_args(argv)
    if args.seeds < 1:
        parser.error("--seeds: must be 1 or more")
    chosen = [scenario for scenario in SCENARIOS if not args.only or scenario.key in args.only]
    rows = table(chosen, range(args.first, args.first + args.seeds))
    print(text(rows))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "rate.md").write_text(text(rows) + "\n")
        data = [
            {
                "scenario": row.scenario.key,
                "figure": row.checks[0].name,
                "must_be": row.checks[0].limit,
                "values": [check.value for check in row.checks],
            }
            for row in rows
        ]
        (args.out / "rate.json").write_text(json.dumps(data, indent=1) + "\n")
        for scenario in chosen:
            draw(scenario, scenario.run(args.first), args.out / f"{scenario.key}.png")
    return int(not all(row.median.passed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
