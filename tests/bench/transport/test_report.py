from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bench.transport import __main__ as program
from tests.bench.transport.contestants import BY_KEY, CONTESTANTS
from tests.bench.transport.plots import STYLES, draw
from tests.bench.transport.results import Results, ResultsError, key, load, machine
from tests.bench.transport.runs import CONDITIONS, LOSSES, Plan, Row
from tests.bench.transport.table import markdown
from tests.bench.transport.workload import THIN, WIDE

MACHINE: dict[str, Any] = {"cores": 2, "processor": "x", "python": "3.11", "load_before": 0.5}
MACHINE |= {"versions": {"aiortc": "1"}, "real_time": True}


def delivery(contestant: str, condition: str, **figures: Any) -> Row:
    head = {"kind": "delivery", "contestant": contestant, "workload": "60 kbit/s", "condition": condition}
    shares = {"delivered": 0.5, "usable": 0.75, "late": 0, "latency_ms": [26.0, 30.0, 40.0], "freeze_s": 0.5}
    costs = {"overhead": 2.2, "forward_kbps": 65.0, "back_kbps": 1.0, "connected_s": 0.4}
    return head | {"seed": 1, "note": ""} | shares | costs | figures


def start(contestant: str, condition: str, seed: int, **times: Any) -> Row:
    head = {"kind": "start", "contestant": contestant, "workload": "200 kbit/s", "condition": condition}
    return head | {"seed": seed, "note": ""} | times


@pytest.fixture
def some() -> Results:
    rows = [delivery("tolerant", c.name) for c in LOSSES]
    rows.append(delivery("srt-500", "loss 0.8", latency_ms=None, overhead=None, connected_s=None, usable=0.0))
    rows.append(delivery("rist-500", "outage of 2 s", resumed_s=1.25, late=3))
    absent = {"kind": "delivery", "contestant": "wfb", "workload": "60 kbit/s", "condition": "loss 0"}
    rows.append(absent | {"seed": 1, "note": "not run: wfb_tx not installed (from source)"})
    rows.append(start("tolerant", "loss 0", 1, first_s=0.5, on_link_s=0.3, again_s=1.5, listening_s=0.3))
    rows.append(start("tolerant", "loss 0", 2, first_s=0.7, on_link_s=0.3, again_s=None, listening_s=0.3))
    rows.append(start("srt-500", "loss 0.8", 1, first_s=None, on_link_s=0.1))
    return Results(Plan(), rows, MACHINE, [0.5, 1.5], 60.0)


def test_the_table_tells_all_rows(some: Results) -> None:
    text = markdown(some)
    assert "Load 0.5 before the run, 0.5 to 1.5 during it" in text
    assert "scheduled before all others" in text
    assert "| semcast tolerant | 75.0 (2.20) | 75.0 (2.20) | 75.0 (2.20) | 75.0 (2.20) | - |" in text
    shares = "| 50.0 | 0.0 | - | - | - | - | 65 | 1.0 | 0.5 |"
    assert f"| loss 0.8 | SRT 500 ms {shares} nothing came before the window |" in text
    assert "resumed after 1.25 s; 3 late |" in text
    assert "not run: wfb_tx not installed (from source)" in text
    assert "| semcast tolerant | start | 0.60 [0.30], at most 0.70 |  |" in text
    assert "| semcast tolerant | new receiver | 1.50 [0.30], at most 1.50, 1/2 |  |" in text
    assert "| SRT 500 ms | start |  | never, 0/1 |" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| loss")}
    assert widths == {13}


def test_plots_are_drawn_and_the_same_each_time(some: Results, tmp_path: Path) -> None:
    first = draw(some, tmp_path / "a")
    assert [path.name for path in first] == ["delivery-60kbps.png", "start.png"]
    second = draw(some, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert draw(Results(Plan()), tmp_path / "c") == []


def test_everyone_has_a_line_of_his_own() -> None:
    assert set(STYLES) == {one.key for one in BY_KEY.values() if not one.messages}
    looks = [(style["color"], style.get("ls", "-"), style["marker"]) for style in STYLES.values()]
    assert len(set(looks)) == len(looks)


def test_results_are_read_as_written(some: Results, tmp_path: Path) -> None:
    some.save(tmp_path / "x" / "transport.json")
    found = load(tmp_path / "x" / "transport.json")
    assert found == some
    assert key(some.rows[0]) in found.done()
    assert not [done for done in found.done() if "wfb" in done]  # to be tried again
    again = delivery("tolerant", "loss 0", usable=0.8)
    found.add([again])
    assert len(found.rows) == len(some.rows) and again in found.rows


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"plan": {"window": 1}}', '{"plan": 3}'])
def test_what_is_no_result_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(ResultsError):
        load(tmp_path / "f")


def test_the_machine_is_described() -> None:
    found = machine()
    assert found["cores"] >= 1 and found["load_before"] >= 0.0 and found["versions"]["aiortc"]


def test_every_step_is_planned_once(tmp_path: Path) -> None:
    args = program.options(["--out", str(tmp_path)])
    planned = list(program.steps(args, program.plan_of(args)))
    assert len(planned) == 2 * len(CONDITIONS) + len(LOSSES)
    assert {step[0] for step in planned} == {"delivery", "start"}
    quick = program.options(["--out", str(tmp_path), "--quick", "--no-starts", "--conditions", "loss 0"])
    assert [(kind, c.name) for kind, _, c, _ in program.steps(quick, program.plan_of(quick))] == [
        ("delivery", "loss 0")
    ]


def test_messages_travel_beside_the_first_workload_only() -> None:
    thin = program._entrants("delivery", THIN)
    wide = program._entrants("delivery", WIDE)
    assert thin == list(CONTESTANTS)
    assert [one.key for one in thin if one not in wide] == ["reliable"]


def test_a_run_can_be_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--quick", "--no-starts", "--conditions", "loss 0", "--only", "wfb", "--out", str(tmp_path)]
    flags += ["--seconds", "1"]
    assert program.main(flags) == 0
    assert (tmp_path / "transport.md").exists()
    assert program.main([*flags, "--resume"]) == 0
    assert program.main(["--draw", "--out", str(tmp_path)]) == 0
    assert program.main(["--resume", "--quick", "--out", str(tmp_path)]) == 1
    assert "made with other times" in capsys.readouterr().err


def test_bad_requests_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["--out", str(tmp_path), "--seconds", "0"])
    assert program.main(["--draw", "--out", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err
