"""What must hold of any text: a value or a named error, nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import final

from torchref_kinetic_plugin.config import read_refinement_file
from torchref_kinetic_plugin.config.loading import Overrides
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.scheme import Scheme, parse_flow_chart, parse_rate, parse_time
from torchref_kinetic_plugin.scheme.amounts import parse_concentration, parse_energy, parse_second_order_rate
from torchref_kinetic_plugin.scheme.flow_chart import FlowChart
from torchref_kinetic_plugin.workflow.loading import section_problems

#: Files that the refinement file of `tiny_series` names.
NAMED = ("dark.pdb", "i1.pdb", "dark.mtz", "t01.mtz", "t02.mtz", "t03.mtz")


def tried(action: Callable[[], object]) -> tuple[object, str]:
    """What comes out, or what a named error says; any other error is one."""
    try:
        return action(), ""
    except InputError as error:
        return None, str(error) or "nothing"


def check_chart(text: str, *, light_activated: bool) -> None:
    """A chart that is one reads the same when written again, and makes a scheme."""
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


def check_amount(text: str) -> None:
    """A time, a rate or another amount is a number, and a rate that no one wrote as infinite is not."""
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
        assert read is not parse_rate or math.isfinite(value) or "inf" in text.casefold()


@final
class RefinementFiles:
    """Reads refinement files in a directory, where it puts what they name."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "refinement.toml"
        self._manager = PluginManager(builtin_only=True)
        for name in NAMED:
            (directory / name).write_text("")

    def check(self, content: bytes, overrides: Overrides | None = None) -> None:
        """A file is read, or refused by name and in our own words."""
        self._path.write_bytes(content)
        found, said = tried(lambda: self._read(overrides))
        assert (found is None) == bool(said)
        assert "pydantic" not in said

    def _read(self, overrides: Overrides | None) -> object:
        return read_refinement_file(
            self._path,
            providers=self._manager.provider_names(),
            check_section=lambda name, section: section_problems(self._manager, name, section),
            overrides=overrides,
        )
