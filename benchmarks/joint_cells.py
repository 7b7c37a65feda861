"""One step over several crystals with cells of their own, beside the steps of each of them alone."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gemmi

from benchmarks.series import EXAMPLE
from benchmarks.timing import in_turn
from torchref_kinetic_plugin.refinement.joint_objective import JointObjective
from torchref_kinetic_plugin.refinement.reference import given_values
from torchref_kinetic_plugin.threads import one_thread
from torchref_kinetic_plugin.workflow.joint_forms import forms_of
from torchref_kinetic_plugin.workflow.joint_setup import prepare_joint, restraints_of
from torchref_kinetic_plugin.workflow.loading import load_refinement

#: Largest ratio of a joint step to the sum of the experiments' own.
LIMIT = 1.1
#: Lengths of each crystal's cell over those of the example.
_CELLS = (1.0, 1.005, 1.010)
_SECONDS = 20.0


def rows() -> Iterator[str]:
    """Two lines of the table: two and three experiments, 3 structures and 8 timepoints each, all data to 1.7 A.

    The data are the example's with other cells, so that nothing is special about them but their number.
    """
    with one_thread(), TemporaryDirectory() as directory:
        crystals = [_copied(Path(directory) / f"cell_{number}", factor) for number, factor in enumerate(_CELLS)]
        alone = [_step([each]) for each in crystals]
        for count in (2, 3):
            together = _step(crystals[:count])
            pair = in_turn(together, lambda parts=alone[:count]: [part() for part in parts], seconds=_SECONDS)
            yield (
                f"| joint step, {count} experiments in cells of their own | {1e3 * pair.ours:.0f} ms "
                f"| {1e3 * pair.theirs:.0f} ms, each experiment's own step | {pair.ratio:.2f} | {LIMIT:.1f} |"
            )


def _copied(directory: Path, factor: float) -> dict[str, Any]:
    """An experiment with the example's reflections in a cell whose lengths are multiplied."""
    directory.mkdir()
    for file in EXAMPLE.glob("*.mtz"):
        mtz = gemmi.read_mtz_file(str(file))
        lengths, angles = mtz.cell.parameters[:3], mtz.cell.parameters[3:]
        mtz.set_cell_for_all(gemmi.UnitCell(*(factor * length for length in lengths), *angles))
        mtz.write_to_file(str(directory / file.name))
    found: dict[str, Any] = tomllib.loads((EXAMPLE / "refinement.toml").read_text())["experiment"][0]
    points = [{**point, "file": str(directory / point["file"])} for point in found["timepoints"]]
    references = [str(directory / each) for each in found["references"]]
    return {**found, "name": directory.name, "references": references, "timepoints": points}


def _step(experiments: Sequence[dict[str, Any]]) -> Callable[[], object]:
    """One evaluation of the objective of these experiments."""
    asked = {"experiment": list(experiments), "refinement.refine": ["kinetics", "structures", "scale"]}
    loaded = load_refinement(EXAMPLE / "refinement.toml", overrides=asked)
    data = [experiment.data for experiment in loaded.experiments]
    values = [
        given_values(data[first], loaded.experiments[first].structures.structures[0].to_gemmi())
        for first, *_ in forms_of(loaded)
    ]
    setup = prepare_joint(loaded, values, data, loaded.build_provider(), device="cpu")
    restraints = restraints_of(loaded, setup)
    restraints.set_widths([0.15] * len(restraints.widths))
    objective = JointObjective(setup.experiments, setup.variables, restraints)
    vector = setup.variables.get()
    return lambda: objective(vector)
