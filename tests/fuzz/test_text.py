"""Any text through the parsers and the loader of refinement files: a value or a named error, nothing else."""

from __future__ import annotations

import os
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.checks import RefinementFiles, check_amount, check_chart
from tests.unit.campaign.tiny_series import REFINEMENT

#: Inputs of each test; `make fuzz` asks for eight times as many.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2500"))

CHART_PIECES = st.sampled_from(["A", "B", "C'", "β", "1", "->", "<->", "=>", "-", ",", "*", " ", "\n", "\0", "\u2028"])
CHARTS = st.one_of(st.text(max_size=40), st.lists(CHART_PIECES, max_size=14).map("".join))
AMOUNT_PIECES = st.sampled_from(
    [
        "9" * 400,
        " ",
        *[
            "1",
            "-",
            "+",
            "0",
            ".5",
            "e",
            "e400",
            "e-400",
            "/",
            "(",
            ")",
            "^",
            "-1",
            "⁻¹",
            "·",
            "ns",
            "µs",
            "s",
            "M",
            "uM",
            "mJ",
            "inf",
            "nan",
            "٣",
            "as",
            "d",
        ],
    ]
)
AMOUNTS = st.one_of(st.text(max_size=20), st.lists(AMOUNT_PIECES, max_size=9).map("".join))

#: Values that somebody, or some program, may write for any key.
PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from(
        ["", "kinetics", "scale", "dark", "I1", "dark.pdb", "t01.mtz", "100 ns", "1/(1 us)", "A->B,B->A", "inf"]
    ),
    st.text(max_size=10),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def leaves(table: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Paths of everything in a table, tables and lists among it."""
    inner = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    return [each for key, value in inner for each in ((*path, key), *leaves(value, (*path, key)))]


PATHS = leaves(tomllib.loads(REFINEMENT))


@settings(max_examples=EXAMPLES, deadline=None)
@given(CHARTS, st.booleans())
def test_flow_charts(text: str, light_activated: bool) -> None:
    check_chart(text, light_activated=light_activated)


@settings(max_examples=EXAMPLES, deadline=None)
@given(AMOUNTS)
def test_times_rates_and_amounts(text: str) -> None:
    check_amount(text)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> RefinementFiles:
    return RefinementFiles(tmp_path_factory.mktemp("fuzz"))


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_files_with_other_characters(files: RefinementFiles, data: st.DataObject) -> None:
    """The file with a stretch of it replaced."""
    start = data.draw(st.integers(0, len(REFINEMENT)))
    length = data.draw(st.integers(0, 60))
    put = data.draw(
        st.one_of(st.text(max_size=12), st.sampled_from(['"', "[[", "]", "= ", "\n", "{", "#", "'''", "nan"]))
    )
    text = REFINEMENT[:start] + put + REFINEMENT[start + length :]
    files.check(text.encode(errors="replace"))


@settings(max_examples=EXAMPLES, deadline=None)
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_files_with_other_values(files: RefinementFiles, path: tuple[object, ...], value: object) -> None:
    """The file with one value, anywhere in it, replaced by another of any kind."""
    table = tomllib.loads(REFINEMENT)
    *outer, last = path
    place: object = table
    for key in outer:
        place = place[key]  # type: ignore[index]
    place[last] = value  # type: ignore[index]
    files.check(REFINEMENT.encode(), overrides={(str(key),): each for key, each in table.items()})
