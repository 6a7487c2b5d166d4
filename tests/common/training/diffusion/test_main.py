"""The command line of the training: what it does, and the one line that it says of a mistake."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from common.training.diffusion import runner, stages
from common.training.diffusion.__main__ import PROG, main
from tests.common.training.diffusion import toy

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def own_process() -> Iterator[None]:
    """What a command changes of its process is put back."""
    handlers, threads = [signal.getsignal(number) for number in SIGNALS], torch.get_num_threads()
    yield
    for number, handler in zip(SIGNALS, handlers, strict=True):
        signal.signal(number, handler)
    torch.set_num_threads(threads)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(toy.RECIPE))
    return path


def flags(folder: Path, config: Path) -> list[str]:
    named = {"corpus": folder / "corpus", "out": folder / "run", "config": config}
    return [*(f"--{name}={path}" for name, path in named.items()), "--device=cpu"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said of a command that is refused, without the program's name."""
    capsys.readouterr()
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith(f"{PROG}: ") and said.err.count("\n") == 1
    return said.err.removeprefix(f"{PROG}: ").strip()


def test_help_names_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(f"  {stage} " in text for stage in ("data", *stages.STAGES, "all", "measure", "export"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: STAGE"),
        (["distil"], "invalid choice: 'distil'"),
        (["lcm", "--out", "x"], "lcm needs --config and --out"),
        (["lcm", "--config", "x"], "lcm needs --config and --out"),
        (["data", "--threads", "0"], "--threads: must be at least 1"),
        (["data", "--tapletop", "x"], "unrecognized arguments: --tapletop"),
    ],
)
def test_a_command_that_is_none(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["data", "--device", "cuda"])
    assert ended.value.code == 2 and "--device: torch finds no CUDA device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot read"),
        ("lcm: {steps: [1\n", "is not valid YAML"),
        ("- lcm\n", "must hold settings as `name: value` lines"),
        ("", "autoencoder: Field required"),
        (yaml.safe_dump({**toy.RECIPE, "lmc": {}}), "lmc: unknown setting"),
        (yaml.safe_dump({**toy.RECIPE, "seed": "one"}), "seed: must be a whole number (got one)"),
        (yaml.safe_dump({**toy.RECIPE, "dmd": {**toy.STAGE, "stepz": 1}}), "dmd.stepz: unknown setting"),
    ],
)
def test_a_configuration_that_is_wrong(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.yaml"
    if text is not None:
        path.write_text(text)
    said = refused(capsys, "autoencoder", *flags(tmp_path, path))
    assert said.startswith("--config: ") and str(path) in said and words in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("source", ["clips", "camvid", "tabletop"])
def test_a_source_that_is_not_there(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "data", f"--corpus={tmp_path / 'corpus'}", f"--{source}={tmp_path / 'no'}")
    assert said.startswith(f"{tmp_path / 'no'}: no ")


def test_a_clip_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    said = refused(capsys, "data", f"--corpus={tmp_path / 'corpus'}", f"--clips={tmp_path}")
    assert "broken.mp4" in said


def test_a_corpus_that_is_missing_or_of_no_use(
    tmp_path: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = f"{tmp_path / 'corpus'}: no sources; make them with `data` and --clips, --camvid or --tabletop"
    assert refused(capsys, "autoencoder", *flags(tmp_path, recipe)) == missing
    assert refused(capsys, "data", f"--corpus={tmp_path / 'corpus'}") == missing
    toy.fill(tmp_path / "corpus")
    recipe.write_text(yaml.safe_dump({**toy.RECIPE, "data": {"crop": 512}}))
    assert "512 pixels or more" in refused(capsys, "autoencoder", *flags(tmp_path, recipe))


def test_stages_come_in_their_order(tmp_path: Path, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy.fill(tmp_path / "corpus")
    given = flags(tmp_path, recipe)
    assert refused(capsys, "clips", *given).startswith("clips: needs autoencoder first")
    assert "nothing to export" in refused(capsys, "export", *given, f"--weights={tmp_path / 'weights'}")
    for stage in ("autoencoder", "clips", "backbone"):
        assert main([stage, *given]) == 0
    assert (tmp_path / "run" / "backbone" / runner.CHECKPOINT).exists()
