"""What users write of their classes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import ConfigError
from common.maps.base import VOID
from common.maps.told import MAX_CLASS_BYTES, LegendPart, messages
from sender.maps.legend import MAX_BYTES, UNKNOWN, LegendError, coding, read_legend

LIST = b"""
name: yard
void: 9
classes:
  - {name: ground, colour: "#204060"}
  - {name: dog, colour: [255, 170, 0], level: 255}
"""


def test_a_list_with_levels() -> None:
    read = read_legend(LIST, "file")
    assert read.legend.name == "yard" and read.legend.classes == ("ground", "dog")
    assert read.legend.colours == ((32, 64, 96), (255, 170, 0)) and read.coloured
    assert (read.levels[0], read.levels[255], read.levels[9], read.levels[1]) == (0, 1, VOID, UNKNOWN)


@pytest.mark.parametrize(
    "text",
    [
        'classes: {ground: "#204060", dog: [255, 170, 0]}',
        '{"classes": [{"name": "ground", "colour": "#204060"}, {"name": "dog", "color": [255, 170, 0]}]}',
    ],
)
def test_names_with_colours_and_json(text: str) -> None:
    read = read_legend(text.encode(), "yard")
    assert read.legend.colours == ((32, 64, 96), (255, 170, 0)) and read.legend.name == "yard"


def test_names_alone_get_colours_that_no_file_can_mean() -> None:
    read = read_legend(b"classes: [ground, dog, 3]", "yard")
    assert read.legend.classes == ("ground", "dog", "3") and len(set(read.legend.colours)) == 3
    assert not read.coloured


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "not valid YAML"),
        ("hello", "must hold `classes:`"),
        ("classes: []", "1 to 254"),
        ("classes: 5", "must be a list"),
        ("classes: [a, a]", "same name"),
        ("classes: [{name: a, colour: red}]", "#rrggbb"),
        ("classes: [{name: a, colour: [0, 0, 256]}]", "#rrggbb"),
        ("classes: [{name: a, level: 256}]", "0 to 255"),
        ("classes: [{name: a, level: 1}, b]", "have the same"),
        ("{classes: [a], void: 0}", "have the same"),
        ("classes: [{name: a, shade: 1}]", "shade: unknown"),
        ("{classes: [a], colours: []}", "colours: unknown"),
        (f"classes: [{'a' * 40}]", "24 bytes"),
        ('classes: ["a\\nb"]', "one line"),
        ("a: &a [1]\nclasses: *a", "aliases"),
        (f"classes: [{', '.join(f'c{n}' for n in range(255))}]", "1 to 254"),
    ],
)
def test_what_is_wrong_is_said(text: str, reason: str) -> None:
    with pytest.raises(LegendError, match="(?s)" + reason.replace("[", r"\[")):
        read_legend(text.encode(), "x")


def test_settings(tmp_path: Path) -> None:
    file = tmp_path / "yard.yaml"
    file.write_bytes(LIST)
    assert coding(str(file)).legend.classes == ("ground", "dog")
    assert coding("street").levels[11] == VOID and coding("street").levels[10] == 10
    assert coding("matte").levels.tolist() == [0] + [1] * 255
    plain = coding(None)
    assert plain.levels[31] == 31 and plain.levels[32] == UNKNOWN and not plain.coloured
    file.write_bytes(b"classes: 5")
    for setting, text in (
        (str(file), "maps.legend: .*yard.yaml: classes"),
        ("nowhere.yaml", "maps.legend: cannot read nowhere.yaml: No such file.*street"),
        ("a\0b", "cannot read"),
    ):
        with pytest.raises(ConfigError, match=text):
            coding(setting)
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="not a legend"):
        coding(str(file))


@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(alphabet="classenmovid:[]{},#&*!-\n \"'0129", max_size=200).map(str.encode),
    )
)
def test_any_bytes_are_a_legend_or_one_error(data: bytes) -> None:
    try:
        read = read_legend(data, "x")
    except LegendError as error:
        assert len(str(error)) < 500
    else:
        known = read.levels[(read.levels >= 0) & (read.levels < VOID)]
        assert sorted(known) == list(range(len(read.legend.classes)))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["name", "colour", "level", "a"]), inner)
        ),
        max_leaves=12,
    )
)
def test_any_classes_are_a_legend_or_one_error(classes: object) -> None:
    with contextlib.suppress(LegendError):
        read_legend(json.dumps({"classes": classes}).encode(), "x")


@pytest.mark.parametrize(
    "text", ["classes: [{}]", "classes: [{{name: a, level: {}}}]", "{{? {} : 1, classes: [a]}}"]
)
def test_numbers_of_thousands_of_digits_are_refused(text: str) -> None:
    with pytest.raises(LegendError, match="too large"):
        read_legend(text.format("0x" + "f" * 5000).encode(), "x")


def test_names_travel_whole_or_are_refused(tmp_path: Path) -> None:
    file = tmp_path / ("\u0448" * 30 + ".yaml")  # twice as many bytes; what it is called is cut
    file.write_text("classes: [" + "c" * MAX_CLASS_BYTES + ", " + "c" * (MAX_CLASS_BYTES - 1) + "]")
    legend = coding(str(file)).legend
    parts = [LegendPart.parse(message) for message in messages(legend, 500)]
    assert parts[0].name == legend.name == "\u0448" * 16
    assert tuple(name for part in parts for _, name in part.entries) == legend.classes
    with pytest.raises(LegendError, match="at most 24 bytes"):
        read_legend(b"classes: [" + b"c" * (MAX_CLASS_BYTES + 1) + b"]", "x")


def test_levels_are_of_bytes() -> None:
    assert coding("tabletop").levels.dtype == np.int16
