"""The strict reading of YAML: what is written is what is meant."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.services.rules_yaml import DEEPEST, LONGEST, YamlError, dump, load

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SCALARS = TEXT | st.integers(-(10**15), 10**15) | st.booleans() | st.none()
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXT.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=10,
)


def test_only_true_false_null_and_whole_numbers_are_more_than_text() -> None:
    text = """
    country: NO
    shadow: no
    switch: on
    start: 08:00
    end: 19:30
    day: 2026-12-24
    number: 12
    minus: -3
    octal: 012
    hexadecimal: 0x10
    float: 1.10
    quoted: '12'
    yes: true
    nothing: null
    empty:
    """
    assert load(text).value == {
        "country": "NO",
        "shadow": "no",
        "switch": "on",
        "start": "08:00",
        "end": "19:30",
        "day": "2026-12-24",
        "number": 12,
        "minus": -3,
        "octal": "012",
        "hexadecimal": "0x10",
        "float": "1.10",
        "quoted": "12",
        "yes": True,
        "nothing": None,
        "empty": None,
    }


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 4, "'c' is there twice"),
        ("a: &x [1]\nb: *x\n", 1, "anchors"),
        ("a: *x\n", 1, "anchors"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "tags"),
        ("a: {<<: {b: 1}}\n", 1, "merging"),
        ("? [a]\n: 1\n", 1, "a key is text"),
        ("a: 1\n---\nb: 2\n", 2, "one document"),
        ("a: 1\nb: [1\n", 3, "not valid YAML"),
        ("a: \x00", 1, "characters"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), 1, "deep"),
        ("a: '" + "x" * LONGEST + "'", 1, "longer"),
        ("[" + "1," * 100_001 + "]", 1, "values"),
    ],
)
def test_tricks_and_mistakes_are_refused_with_their_line(text: str, line: int, told: str) -> None:
    with pytest.raises(YamlError, match=told) as refused:
        load(text)
    assert refused.value.line == line


def test_every_value_has_its_line() -> None:
    loaded = load("a:\n  b:\n    - 1\n    - {c: 2}\n")
    assert loaded.line_of(("a", "b", 1, "c")) == 4
    assert loaded.line_of(("a", "b")) == 2
    assert loaded.line_of(("a", "b", 7, "z")) == 2
    assert loaded.line_of(("nowhere",)) == 1


@given(DOCUMENTS)
def test_what_is_written_reads_back_the_same(document: object) -> None:
    assert load(dump(document)).value == document


@given(st.dictionaries(TEXT.filter(lambda key: key not in ("<<", "=")), SCALARS, max_size=5))
def test_other_readers_of_yaml_read_it_the_same(document: object) -> None:
    assert yaml.safe_load(dump(document)) == document
