"""Steps that diverge, structures that come apart, occupancies that vanish: shortened, stopped or told, and never NaN."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tests.integration.bad_input.inputs import Inputs
from torchref_kinetic_plugin import simulate
from torchref_kinetic_plugin.refinement.joint_objective import JointObjective, Terms

JOINT = ("starts = 1", 'starts = 1\ncycles = 1\nrefine = ["kinetics", "structures", "scale"]')
STEADY = "1/(1 us)"


@pytest.fixture
def refining(inputs: Inputs) -> Inputs:
    inputs.verb = ["refine", "--quiet"]
    return inputs


def result_of(inputs: Inputs) -> dict[str, object]:
    """What was found, after a look for NaN in all text that was written."""
    directory = inputs.directory / "refined"
    texts = [path for path in directory.rglob("*") if path.suffix in {".json", ".csv", ".cif", ".pdb", ".toml"}]
    assert len(texts) > 3
    for path in texts:
        assert not re.search(r"(?i)\bnan\b", path.read_text()), path
    found: dict[str, object] = json.loads((directory / "result.json").read_text())
    return found


def test_a_structure_that_comes_apart_stops_with_its_name(refining: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    refining.edit(*JOINT)
    refining.edit("[output]", "[weights]\ngeometry = 1e-6\nsimilarity = 1e-6\nadp = 1e-6\n[output]")
    said = refining.refused(capsys, "structure 'I1' drifts off: after cycle 1 its bonds are 0.2")
    assert "raise weights.geometry" in said
    assert "'dark'" not in said
    assert {path.name for path in (refining.directory / "refined").iterdir()} == {".lock", "checkpoint.pt"}


def test_a_trial_that_diverges_is_undone_shortened_and_told(
    refining: Inputs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a wall the objective is no number: the step goes on before it, and the refinement with it."""
    evaluate, starts = JointObjective.__call__, {}

    def walled(self: JointObjective, vector: np.ndarray) -> Terms:
        terms = evaluate(self, vector)
        moved = np.abs(vector - starts.setdefault(id(self), vector))[self.variables.atoms]
        return Terms(dict.fromkeys(terms.by_name, np.nan), terms.gradient * np.nan) if max(moved) > 0.1 else terms

    monkeypatch.setattr(JointObjective, "__call__", walled)
    refining.edit(*JOINT)
    refining.accepted(capsys)
    found = result_of(refining)
    (cycle,) = found["cycles"]
    assert cycle["n_undone"] > 0
    assert cycle["gain"] > 100.0
    assert 0.01 < cycle["shift"] < 0.1
    told = f"cycle 1: {cycle['n_undone']} trial step"
    assert any(remark.startswith(told) for remark in found["remarks"]), found["remarks"]


@pytest.mark.parametrize("start", ["1/(100 s)", "1/(1 ms)"])
def test_steps_that_go_too_far_are_halved_and_lead_to_the_same_rate(
    refining: Inputs, capsys: pytest.CaptureFixture[str], start: str
) -> None:
    refining.edit(STEADY, start)
    refining.accepted(capsys)
    found = result_of(refining)
    assert sum(step["halvings"] for step in found["steps"]) > 0
    rates = {each["kind"]: each["value"] for each in reversed(found["parameters"])}
    # That of the steady start; the truth is 5e5.
    assert rates["rate_constant"] == pytest.approx(5.281e5, rel=1e-3)
    assert not any("support" in remark for remark in found["remarks"])


def test_a_structure_that_vanishes_is_named(refining: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    refining.edit(STEADY, "1/(1 ps)")
    refining.accepted(capsys)
    found = result_of(refining)
    assert max(each["occupancy"] for each in found["occupancies"] if each["structure"] == "I1") < 1e-3
    (remark,) = (remark for remark in found["remarks"] if "support" in remark)
    assert remark.startswith("the data do not support structure 'I1': its occupancy, 0.000 at most, is at no timepoint")


def test_a_structure_that_no_data_show_is_named(refining: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    """The trigger reached nothing: the yield is what noise leaves of it."""
    refining.edit('{"A->B" = 0.5}', '{"A->B" = 1e-6}', "simulation.toml")
    simulate(refining.directory / "simulation.toml", refining.directory / "idle")
    for path in (refining.directory / "idle").glob("*.mtz"):
        path.replace(refining.directory / path.name)
    refining.accepted(capsys)
    found = result_of(refining)
    assert any(remark.startswith("the data do not support structure 'I1'") for remark in found["remarks"])
