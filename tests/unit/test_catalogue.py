"""Values of parameters: parsed by Savu's types, never evaluated, and read back from their text."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from savu_format import catalogue, dtypes
from savu_format.catalogue import InvalidCatalogue, Parameter, parse_value, to_text, tuning_count

from tests.support.catalogue import CATALOGUE

DARK = "[list[filepath, h5path, float],list[None,None,float]]"
SAVU_TYPES = [
    "int", "float", "str", "bool", "None", "list", "h5path", "filepath", "nptype", "preview",
    "[None,float]", "[list[],list[str]]", "list[float, float]", "[float, list[float]]",
    DARK, "[None,yamlfilepath]",
    "[list[[dir,filepath], h5path, float], list[None, None, float]]", "list[str, str, str, str]",
    "[preview, dict{str: preview},dict{}]", "[float, str, list[float], dict{int:float}]",
    "[list[float,float],list[None,None]]", "[None, list[float,float,int]]",
    "[int, str, float, list]",
]  # fmt: skip
"""Those that Savu 4.2's own plugins use, or of their form."""


def a(dtype: str, default: Any = None, **more: Any) -> Parameter:
    return Parameter("value", dtype, default, **more)


@pytest.mark.parametrize("dtype", SAVU_TYPES)
def test_savus_types_are_understood_and_said_in_words(dtype: str) -> None:
    assert dtypes.in_words(dtypes.parse_type(dtype))


@pytest.mark.parametrize(
    "dtype", ["", "[", "list[int", "int]", "dict{int}", "eval", "int int", "a;b"]
)
def test_other_types_are_refused(dtype: str) -> None:
    with pytest.raises(ValueError, match="not a parameter type"):
        dtypes.parse_type(dtype)


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        ("int", "5", 5),
        ("int", " -5 ", -5),
        ("float", "5", 5),
        ("float", "1e-3", 0.001),
        ("bool", "true", True),
        ("bool", "False", False),
        ("str", "5", "5"),
        ("str", "None", "None"),
        ("str", "a, b [c", "a, b [c"),
        ("str", "", ""),
        ("[None,str]", "None", None),
        ("[None,float]", "", None),
        ("[str, int, None]", "5", 5),
        ("[str, int, None]", "five", "five"),
        ("[list[],list[str]]", "[]", []),
        ("[list[],list[str]]", "[tomo, 'fluo']", ["tomo", "fluo"]),
        ("list[float, float]", "(1, 2.5)", [1, 2.5]),
        (DARK, "[None, None, 1.0]", [None, None, 1.0]),
        (DARK, "[/d/f.nxs, 1/data, 1]", ["/d/f.nxs", "1/data", 1]),
        ("preview", "[:, 0:100:2, mid-5:mid+5, 3]", [":", "0:100:2", "mid-5:mid+5", 3]),
        ("preview", "[]", []),
        ("[preview, dict{str:preview}, dict{}]", "{tomo: [:, 1:2]}", {"tomo": [":", "1:2"]}),
        ("[float, str, dict{int:float}]", "{1: 80.5, 2: 81}", {"1": 80.5, "2": 81}),
        ("nptype", "float32", "float32"),
        ("int", "60;62;64", "60;62;64"),
        ("int", "10;", "10;"),
        ("float", "1:3:0.5;", "1:3:0.5;"),
    ],
)  # fmt: skip
def test_text_is_parsed_by_its_type(dtype: str, text: str, value: Any) -> None:
    parsed = parse_value(text, a(dtype, "default of no type"))
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("dtype", "text", "says"),
    [
        ("int", "5.5", "a whole number"),
        ("int", "five", "a whole number"),
        ("int", "True", "a whole number"),
        ("int", "", "a whole number"),
        ("float", "nan", "a number"),
        ("float", "1e999", "too large"),
        ("int", "9" * 10_000, "a whole number|too large"),
        ("bool", "1", "True or False"),
        ("list[float, float]", "[1]", "a list of 2"),
        ("list[float, float]", "[1, 2", "never closed"),
        ("list[int]", "[1, two]", "each item is a whole number"),
        ("list[int]", "[1] + [2]", "after its closing bracket"),
        ("list[int]", "[1,,2]", "nothing between"),
        ("list[int]", "[" * 100, "nested"),
        ("dict{int:float}", "{a}", "key: value"),
        ("preview", "[start:finish]", "slices"),
        ("preview", "[mid.__class__]", "slices"),
        ("nptype", "object", "NumPy type"),
        ("int", "60;x;64", "a whole number"),
        ("int", ";", "no value"),
        ("int", "1:0;", "without any value"),
        ("float", "0:1:1e-9;", "more than"),
        ("int", "5" + " " * 200_000, "longer than"),
    ],
)
def test_what_is_not_of_the_type_is_refused_in_a_sentence(dtype: str, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refusal:
        parse_value(text, a(dtype, "default of no type"))
    assert str(refusal.value).startswith("value ")
    assert str(refusal.value).endswith(".")
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch {}')",
        "[__import__('os').system('touch {}')]",
        "{{a: open('{}', 'w')}}",
        "open('{}', 'w')",
        "[].__class__.__base__.__subclasses__()",
        "lambda: 0",
    ],
)
@pytest.mark.parametrize("dtype", [*SAVU_TYPES])
def test_nothing_is_ever_evaluated(tmp_path: Path, dtype: str, text: str) -> None:
    mark = tmp_path / "evaluated"
    text = text.format(mark) if "{" in text else text
    try:
        value = parse_value(text, a(dtype, "default of no type"))
    except ValueError:
        value = None
    json.dumps(value)
    assert not mark.exists()


def test_values_of_json_are_checked_as_they_are() -> None:
    assert parse_value([1, 2.5], a("list[float, float]")) == [1, 2.5]
    assert parse_value(None, a("[None,str]", "x")) is None
    with pytest.raises(ValueError, match="whole number"):
        parse_value(True, a("int", 0))
    with pytest.raises(ValueError, match="finite"):
        parse_value(float("inf"), a("float", 0.0))


def test_only_options_are_taken_where_there_are_options() -> None:
    algorithm = a("str", "FBP", options=(("FBP", ""), ("SIRT", "")))
    assert parse_value("SIRT", algorithm) == "SIRT"
    assert parse_value("FBP;SIRT", algorithm) == "FBP;SIRT"
    with pytest.raises(ValueError, match="one of FBP, SIRT, and 'MAGIC' is not"):
        parse_value("MAGIC", algorithm)


def test_the_default_is_valid_whatever_its_type() -> None:
    assert parse_value("auto", a("int", "auto")) == "auto"
    assert parse_value("[None, None]", a("list[float,float]", [None, None])) == [None, None]


@pytest.mark.parametrize(
    ("text", "count"),
    [("5", 1), ("60;62;64", 3), ("10;", 1), ("0:10:2;", 5), ("0:3;", 3), ("1:2:0.25;", 4)],
)
def test_tuned_values_are_counted(text: str, count: int) -> None:
    assert tuning_count(text, a("float")) == count


def test_a_semicolon_in_a_preview_is_no_tuning() -> None:
    assert tuning_count("[1;2]", Parameter("preview", "preview", [])) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([], "[]"),
        (None, "None"),
        ([None, None, 1.0], "[None, None, 1.0]"),
        (0.5, "0.5"),
        (True, "True"),
        ("FBP", "FBP"),
        (["tomo", "fluo"], "[tomo, fluo]"),
        ({"tomo": [":", "0:5"]}, "{tomo: [:, 0:5]}"),
        ("it's", "it's"),
    ],
)
def test_text_is_as_hebi_showed_it(value: Any, text: str) -> None:
    assert to_text(value) == text


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12).filter(lambda text: text.strip() != "None"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc '\":{é", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=4) | st.dictionaries(st.sampled_from("abc"), VALUES))
def test_the_text_of_a_value_means_the_value(value: Any) -> None:
    assert catalogue.literals.parse(to_text(value)) == value


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused_with_a_value_error(text: str) -> None:
    for dtype in ("[preview, dict{str:preview}, dict{}]", "[list[],list[str]]", "nptype"):
        with contextlib.suppress(ValueError):
            json.dumps(parse_value(text, a(dtype, "default")))


# -- Catalogues ------------------------------------------------------------------------------------


def test_a_catalogue_is_loaded_from_a_file_and_from_a_mapping(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.json"
    file.write_text(json.dumps(CATALOGUE))
    loaded = catalogue.load(file)
    assert loaded == catalogue.load(CATALOGUE)
    algorithm = loaded.plugins["AstraReconCpu"].parameter("algorithm")
    assert algorithm is not None
    assert algorithm.options[1] == ("SIRT", "Iterative")


def test_the_word_none_in_savus_defaults_is_nothing() -> None:
    loader = catalogue.load(CATALOGUE).plugins["NxtomoLoader"]
    assert loader.defaults()["dark"] == [None, None, 1.0]


def _changed(**change: Any) -> dict[str, Any]:
    parameter = {"name": "p", "dtype": "int", "default": 0} | change
    plugin = {"id": "module", "parameters": [{k: v for k, v in parameter.items() if v != "absent"}]}
    return {"engine": "savu", "version": "4.2", "plugins": {"Plugin": plugin}}


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({}, "no 'plugins'"),
        ({"plugins": {}}, "no 'engine'"),
        (_changed(dtype="eval"), "Parameter p of Plugin: 'eval' is not"),
        (_changed(name=""), "A parameter of Plugin has no 'name'"),
        (_changed(default="absent"), "has no 'default'"),
        ({"engine": "e", "version": "1", "plugins": {"P": {}}}, "Plugin P has no 'id'"),
        ({"engine": "e", "version": "1", "plugins": {"P": 5}}, "not an object"),
    ],
)
def test_a_wrong_catalogue_is_refused_saying_where(mapping: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidCatalogue, match=says):
        catalogue.load(mapping)


def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.json"
    for text in ("{", "[]"):
        file.write_text(text)
        with pytest.raises(InvalidCatalogue, match="not"):
            catalogue.load(file)
