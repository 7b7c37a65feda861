"""A directory with what a refinement file names; contents are not read where runs are only planned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

REFINEMENT = """
title = "three states"
[structures]
states = [{name = "dark", file = "dark.pdb"}, {name = "I1", file = "i1.pdb"}, {name = "I2", file = "i2.pdb"}]
[[experiment]]
references = ["dark.mtz"]
timepoints = [{time = "100 ns", file = "t1.mtz"}, {time = "1 us", file = "t2.mtz"}]
[kinetics]
scheme = "A->B,B->C,C->A"
light_activated = true
state_mapping = {A = "dark", B = "I1", C = "I2"}
rate_constants = {"A->B" = "inf", "B->C" = "1/(500 ns)", "C->A" = "20 /ms"}
"""
FILES = ("dark.pdb", "i1.pdb", "i2.pdb", "dark.mtz", "t1.mtz", "t2.mtz")

Write = Callable[[str], Path]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_text(name)
    (tmp_path / "refinement.toml").write_text(REFINEMENT)
    return tmp_path


@pytest.fixture
def write(directory: Path) -> Write:
    """Write a campaign file."""

    def written(text: str) -> Path:
        path = directory / "campaign.toml"
        path.write_text(f'refinement = "refinement.toml"\n{text}' if "refinement =" not in text else text)
        return path

    return written
