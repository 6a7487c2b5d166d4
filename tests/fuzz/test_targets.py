"""Every parser meets every input of the corpus, bytes that hypothesis makes, and mutations of the corpus."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import atheris_targets, daemon_targets, seeds
from tests.fuzz.atheris_targets import TARGETS
from tests.fuzz.mutate import Mutator
from tests.fuzz.names import NAMES
from tests.fuzz.run import CORPUS, MAX_BYTES, corpus, fuzz

ROOT = Path(__file__).parent.parent.parent
SLOW = {
    "audio",
    "session",
    "control",
    "replies",
    "endpoint",
    "handshake",
    "coded",
    "codec_unit",
    "classic_units",
    "recover",
}
MOST_CORPUS_BYTES = 200_000


def test_every_target_has_a_name_and_a_corpus() -> None:
    assert tuple(TARGETS) == NAMES
    assert {path.name for path in CORPUS.iterdir()} == set(NAMES)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < MOST_CORPUS_BYTES
    for name, inputs in seeds.seeds().items():
        assert corpus(name), name
        assert all(len(data) <= MAX_BYTES for data in corpus(name))
        for data in inputs:
            TARGETS[name](data)


def test_every_class_that_parses_is_a_target() -> None:
    """Whatever has a `parse` in the wire format, the codec or the receiver is called by name in the targets."""
    called = {
        ast.unparse(node)
        for module in (atheris_targets, daemon_targets)
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    renamed = {"proto.reliable_packet.Announcement": "Standing"}
    both = {"Source": "parse", "Parity": "parse"}  # proto.protected.parse tells which of the two it is
    missing = []
    for path in (
        path for folder in ("proto", "common/codec", "receiver") for path in (ROOT / folder).rglob("*.py")
    ):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and "parse" in {
                getattr(part, "name", "") for part in node.body
            }:
                name = renamed.get(f"{module}.{node.name}", node.name)
                if both.get(name, f"{name}.parse") not in called:
                    missing.append(f"{module}.{name}")
    assert not missing


@pytest.mark.parametrize("name", NAMES)
def test_the_corpus(name: str) -> None:
    for data in corpus(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", NAMES)
def test_any_bytes(name: str) -> None:
    @settings(
        deadline=None,
        max_examples=25 if name in SLOW else 100,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.one_of(st.binary(max_size=1600), st.sampled_from(corpus(name)).flatmap(_near)))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


def _near(data: bytes) -> st.SearchStrategy[bytes]:
    """An input of the corpus with some bytes replaced and something after it."""
    changes = st.lists(st.tuples(st.integers(0, max(0, len(data) - 1)), st.integers(0, 255)), max_size=4)

    def change(changes: list[tuple[int, int]], end: bytes) -> bytes:
        changed = bytearray(data)
        for place, value in changes:
            changed[place : place + 1] = bytes((value,))
        return bytes(changed) + end

    return st.builds(change, changes, st.binary(max_size=8))


@pytest.mark.parametrize("name", NAMES)
def test_mutations(name: str) -> None:
    mutator = Mutator(corpus(name), 1, MAX_BYTES)
    for _ in range(20 if name in SLOW else 200):
        TARGETS[name](mutator.next())


def test_the_mutator_is_repeatable_and_bounded() -> None:
    one, other, third = (Mutator([b"abc", bytes(2000)], seed, 1000) for seed in (1, 1, 2))
    made = [one.next() for _ in range(200)]
    assert made == [other.next() for _ in range(200)]
    assert made != [third.next() for _ in range(200)]
    assert max(map(len, made)) <= 1000 and len(set(made)) > 100


def test_a_target_that_raises_is_told_and_its_input_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fragile(data: bytes) -> None:
        if len(data) % 2:
            raise RuntimeError("odd")

    monkeypatch.setitem(TARGETS, "header", fragile)
    tried, raised = fuzz("header", 5.0, 1, tmp_path)
    assert raised and tried < 1000
    (kept,) = tmp_path.iterdir()
    assert len(kept.read_bytes()) % 2 == 1
    assert str(kept) in capsys.readouterr().err


def test_the_runner(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.run", "--plain", "--seconds", "0.1", "--target", "segment"]
    done = subprocess.run(
        [*command, "--crashes", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "segment" in done.stdout and "ok" in done.stdout
