from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import yaml

from common.config import (
    EX_CONFIG,
    Command,
    ConfigError,
    LogSection,
    MetricsSection,
    Section,
    leaves,
    load,
    option,
    to_yaml,
)
from common.values import Address, AddressField, Size, SizeField, parse_address


class Rate(Section):
    """Rate on the wire."""

    kbps: int = option(60, "target", unit="kbit/s", alias="--rate-kbps", ge=1, le=1000)
    fast: bool = option(False, "whether to hurry")
    step: Literal[20, 40] = option(20, "step", unit="ms")
    rest: Literal[1, 2] | None = option(None, "rest")


class Metrics(MetricsSection):
    listen: AddressField | None = option(parse_address("127.0.0.1:9100"), "where", metavar="HOST:PORT")


class Example(Section):
    """An example."""

    to: AddressField = option(..., "destination", metavar="HOST:PORT")
    size: SizeField = option(Size(256, 256), "size", unit="pixels", metavar="WxH")
    key_file: Path | None = option(None, "key")
    play: list[str] = option(["web"], "sinks", metavar="SINK")
    rate: Rate = Rate()
    log: LogSection = LogSection()
    metrics: Metrics = Metrics()


def read(*argv: str, environ: dict[str, str] | None = None, commands: tuple[Command, ...] = ()) -> Example:
    return load(
        Example,
        argv,
        prog="example",
        description="Shows it.",
        env_prefix="EX_",
        environ=environ or {},
        epilog="the end",
        commands=commands,
    )


def problems(*argv: str, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(*argv, environ=environ)
    assert caught.value.exit_code == EX_CONFIG == 78
    assert str(caught.value).splitlines() == list(caught.value.problems)
    return caught.value.problems


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "example.yaml"


def test_precedence_is_default_file_environment_flag(file: Path) -> None:
    file.write_text("to: file:1\nrate: {kbps: 10}\n")
    environment = {"EX_RATE__KBPS": "20"}
    assert read("--to", "a:1").rate.kbps == 60
    assert read("--config", str(file)).rate.kbps == 10
    assert read("--config", str(file), environ=environment).rate.kbps == 20
    assert read("--config", str(file), "--rate.kbps", "30", environ=environment).rate.kbps == 30
    assert read("--config", str(file), "--rate-kbps=40").rate.kbps == 40
    assert read(environ={"EX_CONFIG": str(file)}).to == Address("file", 1)


def test_values_of_every_kind() -> None:
    config = read(
        "--to", "[::1]:7", "--size", "320x176", "--key-file", "k", "--play", "a", "--play", "b", "--rate.fast"
    )
    assert config.to == Address("::1", 7)
    assert config.size == Size(320, 176)
    assert config.key_file == Path("k")
    assert config.play == ["a", "b"]
    assert config.rate.fast
    assert not read("--to", "a:1", "--rate.fast", "false").rate.fast
    assert read("--to", "a:1", environ={"EX_PLAY": "x y"}).play == ["x", "y"]


def test_listed_values_may_be_numbers() -> None:
    assert read("--to", "a:1", "--rate.step", "40").rate.step == 40
    assert read("--to", "a:1", environ={"EX_RATE__STEP": "40"}).rate.step == 40
    given = read("--to", "a:1", "--rate.rest", "2").rate
    assert given.rest == 2 and type(given.rest) is int
    assert read("--to", "a:1", environ={"EX_RATE__REST": "off"}).rate.rest is None


def test_off_switches_an_optional_setting_off() -> None:
    assert read("--to", "a:1", "--metrics.listen", "off").metrics.listen is None
    assert read("--to", "a:1", environ={"EX_METRICS__LISTEN": "off"}).metrics.listen is None


def test_missing() -> None:
    assert problems() == ("to: is required: give --to, EX_TO or `to:` in the file",)


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--rate.kbps", "0"], "rate.kbps: must be >= 1 (got 0) [from --rate.kbps]"),
        (["--rate-kbps", "2000"], "rate.kbps: must be <= 1000 (got 2000) [from --rate.kbps]"),
        (["--rate.kbps", "many"], "rate.kbps: must be a whole number (got many) [from --rate.kbps]"),
        (["--rate.step", "30"], "rate.step: must be one of 20 or 40 (got 30) [from --rate.step]"),
        (["--rate.rest", "3"], "rate.rest: must be one of 1 or 2 (got 3) [from --rate.rest]"),
        (["--rate.fast", "perhaps"], "rate.fast: must be true or false (got perhaps) [from --rate.fast]"),
        (
            ["--log.level", "loud"],
            "log.level: must be one of 'debug', 'info', 'warning' or 'error' (got loud) [from --log.level]",
        ),
        (
            ["--size", "250x256"],
            "size: both sides must be multiples of 16 from 16 to 4096, for example 240 instead of 250 "
            "(got 250x256) [from --size]",
        ),
        (
            ["--metrics.listen", "9100"],
            "metrics.listen: must be HOST:PORT, for example 192.0.2.7:5004 or [2001:db8::7]:5004 "
            "(got 9100) [from --metrics.listen]",
        ),
        (["--rate.kpbs", "3"], "--rate.kpbs: unknown argument; did you mean --rate.kbps?"),
        (["stray"], "stray: unknown argument"),
        (["--size"], "argument --size: expected one argument"),
    ],
)
def test_errors_name_the_setting_and_the_fix(argv: list[str], text: str) -> None:
    assert problems("--to", "a:1", *argv) == (text,)


def test_errors_in_the_environment_name_the_variable() -> None:
    assert problems("--to", "a:1", environ={"EX_RATE__KBPS": "0"}) == (
        "rate.kbps: must be >= 1 (got 0) [from EX_RATE__KBPS]",
    )
    assert problems("--to", "a:1", environ={"EX_RATE__KBSP": "9"}) == (
        "EX_RATE__KBSP: unknown variable; did you mean EX_RATE__KBPS?",
    )


def test_errors_in_the_file(file: Path) -> None:
    file.write_text("to: a:1\nrate: {kbsp: 3, fast: 7}\nplay: web\nsize: 5\nnonsense: 1\n")
    assert set(problems("--config", str(file))) == {
        "rate.kbsp: unknown setting; did you mean rate.kbps?",
        f"rate.fast: must be true or false (got 7) [from {file}]",
        f"play: must be a list (got web) [from {file}]",
        f"size: must be written as one word, as in the help text (got 5) [from {file}]",
        "nonsense: unknown setting",
    }
    file.write_text("to: a:1\nrate: 5\n")
    assert problems("--config", str(file)) == ("rate: must be a group of settings (got 5)",)
    file.write_text("- a\n")
    assert "must hold settings" in problems("--config", str(file))[0]
    file.write_text("to: [\n")
    assert "is not valid YAML" in problems("--config", str(file))[0]
    assert problems("--config", "/nowhere/x") == (
        "--config: cannot read /nowhere/x: No such file or directory",
    )


def test_an_empty_file_is_no_error(file: Path) -> None:
    file.write_text("# nothing\n")
    assert read("--config", str(file), "--to", "a:1").rate.kbps == 60


def test_a_scalar_in_the_file_gives_way_to_a_flag(file: Path) -> None:
    file.write_text("to: a:1\nrate: 5\n")
    assert read("--config", str(file), "--rate.kbps", "7").rate.kbps == 7


def test_the_configuration_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read("--to", "a:1").rate.kbps = 3


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read("--help")
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--rate.kbps N, --rate-kbps N target (default 60 kbit/s)" in text
    assert "rate: rate on the wire" in text
    assert "destination (required)" in text
    assert "(repeatable; default web)" in text
    assert "(default off)" in text
    assert "the end" in text
    for leaf in leaves(Example):
        assert leaf.flag in text


def test_the_printed_configuration_can_be_read_back(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--to", "[::1]:9", "--rate.kbps", "5", "--metrics.listen", "off", "--print-config")
    file.write_text(capsys.readouterr().out)
    again = read("--config", str(file))
    assert again == read("--to", "[::1]:9", "--rate.kbps", "5", "--metrics.listen", "off")
    assert yaml.safe_load(to_yaml(again))["to"] == "[::1]:9"


def test_commands_do_one_thing_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []
    command = Command("--make", "FILE", "makes it", lambda value, section: done.append(value))
    with pytest.raises(SystemExit) as caught:
        read("--make", "x", commands=(command,))
    assert (caught.value.code, done) == (0, ["x"])
    assert capsys.readouterr().out == ""
