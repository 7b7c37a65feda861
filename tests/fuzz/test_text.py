"""Any text through the parsers and the loader of refinement files: a value or a named error, nothing else."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.campaign.tiny_series import REFINEMENT
from torchref_kinetic_plugin.config import read_refinement_file
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.scheme import Scheme, parse_flow_chart, parse_rate, parse_time
from torchref_kinetic_plugin.scheme.amounts import parse_concentration, parse_energy, parse_second_order_rate
from torchref_kinetic_plugin.scheme.flow_chart import FlowChart
from torchref_kinetic_plugin.workflow.loading import section_problems

#: Inputs of each test; `make fuzz` asks for a hundred times as many.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2500"))
MODELS = ("dark.pdb", "i1.pdb", "dark.mtz", "t01.mtz", "t02.mtz", "t03.mtz")

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


def tried(action: Callable[[], object]) -> tuple[object, str]:
    """What comes out, or what a named error says; any other error is one."""
    try:
        return action(), ""
    except InputError as error:
        return None, str(error) or "nothing"


def leaves(table: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Paths of everything in a table, tables and lists among it."""
    inner = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    return [each for key, value in inner for each in ((*path, key), *leaves(value, (*path, key)))]


PATHS = leaves(tomllib.loads(REFINEMENT))


@settings(max_examples=EXAMPLES, deadline=None)
@given(CHARTS, st.booleans())
def test_flow_charts(text: str, light_activated: bool) -> None:
    chart, said = tried(lambda: parse_flow_chart(text))
    if not isinstance(chart, FlowChart):
        assert said != "nothing"
        return
    assert parse_flow_chart(chart.text) == chart
    scheme, said = tried(lambda: Scheme.build(text, light_activated=light_activated))
    if not isinstance(scheme, Scheme):
        assert "light_activated needs a transition" in said
        return
    assert len(scheme.states) == len(chart.states) + light_activated
    assert all(0 <= step.target < len(scheme.states) for step in scheme.steps)


@settings(max_examples=EXAMPLES, deadline=None)
@given(AMOUNTS)
def test_times_rates_and_amounts(text: str) -> None:
    readers: tuple[Callable[[str], float], ...] = (
        parse_time,
        parse_rate,
        parse_concentration,
        parse_energy,
        parse_second_order_rate,
    )
    for read in readers:
        value, said = tried(lambda: read(text))
        if said:
            assert said != "nothing"
            continue
        assert isinstance(value, float)
        assert not math.isnan(value)
        # A rate that no one wrote as infinite is not.
        assert read is not parse_rate or math.isfinite(value) or "inf" in text.casefold()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fuzz")
    for name in MODELS:
        (made / name).write_text("")
    return made


@pytest.fixture(scope="module")
def read(directory: Path) -> Callable[..., object]:
    """Read a file as the command line does."""
    manager = PluginManager(builtin_only=True)

    def reading(text: str, overrides: dict[tuple[str, ...], object] | None = None) -> object:
        path = directory / "refinement.toml"
        path.write_text(text, encoding="utf-8", errors="replace")
        return read_refinement_file(
            path,
            providers=manager.provider_names(),
            check_section=lambda name, section: section_problems(manager, name, section),
            overrides=overrides,
        )

    return reading


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_files_with_other_characters(read: Callable[..., object], data: st.DataObject) -> None:
    """The file with a stretch of it replaced."""
    start = data.draw(st.integers(0, len(REFINEMENT)))
    length = data.draw(st.integers(0, 60))
    put = data.draw(
        st.one_of(st.text(max_size=12), st.sampled_from(['"', "[[", "]", "= ", "\n", "{", "#", "'''", "nan"]))
    )
    found, said = tried(lambda: read(REFINEMENT[:start] + put + REFINEMENT[start + length :]))
    assert (found is None) == bool(said)
    assert "pydantic" not in said


@settings(max_examples=EXAMPLES, deadline=None)
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_files_with_other_values(read: Callable[..., object], path: tuple[object, ...], value: object) -> None:
    """The file with one value, anywhere in it, replaced by another of any kind."""
    table = tomllib.loads(REFINEMENT)
    *outer, last = path
    place: object = table
    for key in outer:
        place = place[key]  # type: ignore[index]
    place[last] = value  # type: ignore[index]
    overrides = {(str(key),): each for key, each in table.items()}
    found, said = tried(lambda: read(REFINEMENT, overrides))
    assert (found is None) == bool(said)
    assert "pydantic" not in said
