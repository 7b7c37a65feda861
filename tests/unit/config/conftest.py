"""A directory with the files that a refinement file names; their content is not read here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

FILES = ("dark.pdb", "i1.pdb", "all.cif", "dark.mtz", "dark2.mtz", "t1.mtz", "t2.mtz", "t3.mtz", "ligand.cif")

#: A file in parts, of which a test replaces some.
PARTS = {
    "title": 'title = "test"',
    "refinement": "[refinement]",
    "structures": '[structures]\nstates = [{name = "dark", file = "dark.pdb"}, {name = "I1", file = "i1.pdb"}]',
    "experiment": (
        '[[experiment]]\nreferences = ["dark.mtz"]\n'
        'timepoints = [{time = "100 ns", file = "t1.mtz"}, {time = "inf", file = "t2.mtz"}]'
    ),
    "kinetics": '[kinetics]\nscheme = "A->B"',
    "rest": "",
}

Write = Callable[..., Path]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.fixture
def write(directory: Path) -> Write:
    """Write a refinement file whose parts are the usual ones but for those given."""

    def written(**parts: str) -> Path:
        assert set(parts) <= set(PARTS)
        path = directory / "refinement.toml"
        path.write_text("\n".join({**PARTS, **parts}.values()), encoding="utf-8")
        return path

    return written
