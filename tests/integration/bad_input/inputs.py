"""A small series that is right, and what makes it wrong: text, models, reflections."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import gemmi
import numpy as np
import pytest

from tests.unit.reflections.crystals import write_mtz
from torchref_kinetic_plugin.cli.main import main

CELL = (24.0, 26.0, 22.0, 90.0, 90.0, 90.0)
GROUP = "P 21 21 21"
FLAGS = "R-free-flags"


@dataclass
class Reflections:
    """An MTZ file with one dataset, open for changes."""

    hkl: np.ndarray
    types: dict[str, str]
    values: dict[str, np.ndarray]
    group: str = GROUP
    cell: tuple[float, ...] = CELL

    @classmethod
    def read(cls, path: Path) -> Reflections:
        mtz = gemmi.read_mtz_file(str(path))
        table = np.array(mtz.array, dtype=float)
        types = {column.label: column.type for column in mtz.columns[3:]}
        return cls(table[:, :3].astype(int), types, {label: table[:, 3 + n].copy() for n, label in enumerate(types)})

    def write(self, path: Path) -> None:
        columns = [(label, kind, self.values[label]) for label, kind in self.types.items()]
        write_mtz(path, self.hkl, columns, self.group, self.cell)

    @property
    def spacing(self) -> np.ndarray:
        """Spacing d of each reflection, A."""
        return np.asarray(gemmi.UnitCell(*self.cell).calculate_d_array(self.hkl.astype(np.int32)))

    def keep(self, rows: np.ndarray | slice) -> None:
        """Leave some reflections, in this order."""
        self.hkl = self.hkl[rows]
        self.values = {label: values[rows] for label, values in self.values.items()}

    def add(self, hkl: np.ndarray, **values: float) -> None:
        """Add reflections with one value each, and the first reflection's where none is given."""
        count = len(hkl)
        self.hkl = np.concatenate([self.hkl, hkl])
        for label, own in self.values.items():
            given = values.get(label.split("-")[0], own[0])
            self.values[label] = np.concatenate([own, np.full(count, given)])

    def rename(self, old: str, new: str, kind: str | None = None) -> None:
        """Give a column another name, and type."""
        self.types = {
            new if label == old else label: (kind or letter) if label == old else letter
            for label, letter in self.types.items()
        }
        self.values[new] = self.values.pop(old)

    def drop(self, label: str) -> None:
        """Remove a column."""
        del self.types[label], self.values[label]

    def put(self, label: str, kind: str, values: np.ndarray) -> None:
        """Add a column at the end, or replace one."""
        self.types[label], self.values[label] = kind, np.asarray(values, dtype=float)

    def as_intensities(self) -> None:
        """Turn amplitudes into intensities."""
        amplitude, sigma = self.values["F-obs"], self.values["SIGF-obs"]
        self.values["F-obs"], self.values["SIGF-obs"] = amplitude**2, 2.0 * amplitude * sigma
        self.rename("F-obs", "IMEAN", "J")
        self.rename("SIGF-obs", "SIGIMEAN")


@dataclass
class Inputs:
    """A directory with a refinement file and all that it names."""

    directory: Path
    verb: list[str] = field(default_factory=lambda: ["check", "--quick"])
    name: str = "refinement.toml"

    @property
    def file(self) -> Path:
        return self.directory / self.name

    def edit(self, old: str, new: str, name: str = "refinement.toml") -> None:
        """Replace text that stands in a file."""
        path = self.directory / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def reflections(self, change: Callable[[Reflections], None], *names: str) -> None:
        """Change reflection files: those named, or all."""
        for name in names or ("dark", "t01", "t02", "t03"):
            path = self.directory / f"{name}.mtz"
            table = Reflections.read(path)
            change(table)
            table.write(path)

    def model(self, change: Callable[[gemmi.Structure], None], *names: str) -> None:
        """Change models: those named, or both."""
        for name in names or ("dark", "i1"):
            path = self.directory / f"{name}.pdb"
            structure = gemmi.read_structure(str(path))
            change(structure)
            path.write_text(structure.make_pdb_string())

    def lines(self, name: str, change: Callable[[list[str]], list[str]]) -> None:
        """Change the lines of a text file."""
        path = self.directory / name
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")

    def refused(self, capsys: pytest.CaptureFixture[str], message: str, *more: str) -> str:
        """See that the command is refused with a message and no traceback; paths are told from the directory."""
        code, said = self.run(capsys, *more)
        assert code == 2, said
        assert message in said, said
        assert "Traceback" not in said
        return said

    def accepted(self, capsys: pytest.CaptureFixture[str], *messages: str) -> str:
        """See that the command is done, and says these things."""
        code, said = self.run(capsys)
        assert code == 0, said
        for message in messages:
            assert message in said, said
        return said

    def run(self, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
        """Exit code of the command that a user types, and what it says: on standard error when it fails."""
        capsys.readouterr()
        try:
            code = main([*self.verb, str(self.file), *more])
        except SystemExit as left:
            # Of arguments that argparse refuses.
            code = int(left.code or 0)
        printed = capsys.readouterr()
        return code, (printed.err if code else printed.out).replace(f"{self.directory}/", "")


def copied(source: Path, directory: Path) -> Inputs:
    """The series in a directory of its own."""
    shutil.copytree(source, directory, dirs_exist_ok=True)
    return Inputs(directory)
