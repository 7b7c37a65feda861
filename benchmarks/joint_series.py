"""``python -m benchmarks.joint_series``: structures and kinetics together, on the three series with known truth.

Each series as it is shipped: structures 0.2 A off, rates a factor of 3 to 5. With ``--long`` the photocycle also for 20
cycles without the stopping rule, from the structures given and from the true ones.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.series import EXAMPLE
from example_data.structures import MOVED
from torchref_kinetic_plugin import refine
from torchref_kinetic_plugin.results import RefinementResult
from torchref_kinetic_plugin.scheme import seconds_per
from torchref_kinetic_plugin.structures import AtomTable, load_files
from torchref_kinetic_plugin.workflow.loading import load_refinement

_SERIES = ("photocycle", "reversible", "branch")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.joint_series", description=main.__doc__)
    parser.add_argument("--long", action="store_true", help="also 20 cycles without the stopping rule")
    print("| series | found over truth, with the error stated | moved atoms off, A (handed over) | cycles | s |")
    print("|---|---|---|---|---|")
    long = parser.parse_args().long
    for line in chain(rows(), stability() if long else ()):
        print(line, flush=True)


def rows() -> Iterator[str]:
    """One line for each series."""
    for name in _SERIES:
        with tempfile.TemporaryDirectory() as directory:
            yield _row(name, EXAMPLE.parent / name, Path(directory), {})


def stability() -> Iterator[str]:
    """Rates and yield after the fifth and the twentieth cycle."""
    for start in ("as given", "true structures"):
        with tempfile.TemporaryDirectory() as directory:
            overrides: dict[str, Any] = {"refinement.cycles": 20, "refinement.stop": False}
            if start != "as given":
                overrides["structures.states"] = [
                    {"name": state["name"], "file": str(EXAMPLE / "truth" / f"{state['name'].lower()}.pdb")}
                    for state in ({"name": "dark"}, {"name": "I1"}, {"name": "I2"})
                ]
            result = _refined(EXAMPLE, Path(directory), overrides)
            fifth, last = (result.cycles[number].parameters for number in (4, 19))
            changes = [
                f"{name.split(' ', 1)[1]} {last[name] / fifth[name] - 1.0:+.2%}"
                for name in last
                if _refines(result, name)
            ]
            errors = _errors(EXAMPLE, Path(directory))
            what = f"photocycle, {start}, cycle 20 against 5"
            yield f"| {what} | {', '.join(changes)} | {errors} | 20 | {result.seconds:.0f} |"


def _refines(result: RefinementResult, name: str) -> bool:
    return any(f"{each.experiment} {each.kind} {each.name}" == name and each.refined for each in result.parameters)


def _row(name: str, source: Path, directory: Path, overrides: dict[str, Any]) -> str:
    result = _refined(source, directory, overrides)
    truth = json.loads((source / "truth" / "truth.json").read_text())["kinetics"]
    plain = load_refinement(source / "refinement.toml", overrides={"kinetics.rate_constants": truth["rate_constants"]})
    true = plain.build_provider().modules_by_experiment[0].get_rate_constants()
    found = []
    for each in result.parameters:
        if each.refined and each.std_error_ln is not None:
            exact = truth["efficiencies"].get(each.name) if each.kind == "efficiency" else None
            if exact is None:
                exact = true[each.name] / seconds_per(plain.experiments[0].schedule.time_unit)
            found.append(f"{each.name} {each.value / exact:.3f} ({100.0 * each.std_error_ln:.1f} %)")
    errors = _errors(source, directory)
    return f"| {name} | {', '.join(found)} | {errors} | {len(result.cycles)} | {result.seconds:.0f} |"


def _refined(source: Path, directory: Path, overrides: dict[str, Any]) -> RefinementResult:
    asked = {"refinement.refine": ["kinetics", "structures", "scale"], "output.maps": False, "output.plots": False}
    return refine(source / "refinement.toml", output=directory, overrides=asked | overrides)


def _errors(source: Path, directory: Path) -> str:
    """R.m.s. error of the atoms of each intermediate that truly moved, and of those handed over."""
    dark, *others = [path.stem for path in sorted(source.glob("*.pdb"))]
    reference = _atoms(source / "truth" / f"{dark}.pdb")
    parts = []
    for each in others:
        true, given = _atoms(source / "truth" / f"{each}.pdb"), _atoms(source / f"{each}.pdb")
        found = _atoms(directory / "structures" / f"{each.upper()}.cif")
        moved = [
            key
            for key, place in true.index.items()
            if key in reference.index and np.linalg.norm(true.xyz[place] - reference.xyz[reference.index[key]]) > MOVED
        ]
        off, before = (_rms(table, true, moved) for table in (found, given))
        parts.append(f"{each.upper()} {off:.3f} ({before:.3f})")
    return ", ".join(parts)


def _rms(table: AtomTable, true: AtomTable, keys: list[Any]) -> float:
    pairs = [(table.xyz[table.index[key]], true.xyz[true.index[key]]) for key in keys if key in table.index]
    return float(np.sqrt(np.mean([np.sum((a - b) ** 2) for a, b in pairs])))


def _atoms(path: Path) -> AtomTable:
    return load_files({path.stem: path}).structures[0].atoms


if __name__ == "__main__":
    main()
