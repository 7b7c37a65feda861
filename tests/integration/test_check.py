"""``check`` as a user types it: what the data can determine, before anything is fitted."""

import shutil
from pathlib import Path

import pytest

from torchref_kinetic_plugin.cli.main import main
from torchref_kinetic_plugin.workflow.checking import check

EXAMPLE = Path(__file__).parents[2] / "example_data" / "photocycle"


def file_with(directory, *changes):
    """The example's file with other text in places, beside its data."""
    for path in [*EXAMPLE.glob("*.mtz"), *EXAMPLE.glob("*.pdb")]:
        shutil.copy(path, directory)
    text = (EXAMPLE / "refinement.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = directory / "refinement.toml"
    path.write_text(text)
    return path


def test_check_ends_with_expected_errors(capsys):
    assert main(["check", str(EXAMPLE / "refinement.toml")]) == 0
    printed = capsys.readouterr().out
    table = printed[printed.index("Expected standard errors from these starting values") :]
    lines = {" ".join(line.split()[:3]): line.split() for line in table.splitlines() if "\u00b1" in line}
    assert set(lines) == {"rate constant B->C", "rate constant C->A", "efficiency A->B 0.5"}
    assert lines["rate constant B->C"][3:7] == ["4e+05", "1/s", "2.50", "us"]
    # From rates five times off, errors are those of these rates: 1 to 3 %.
    for line in lines.values():
        assert line[-1] == "%"
        assert 0.3 < float(line[-2]) < 3.0
    assert "Eigenvalues of the information" in table
    assert "What the data leave open" not in table
    assert printed.startswith("reading structures\n")
    assert "drawing data as they are expected" in printed


def test_what_is_left_open_is_said(tmp_path, capsys):
    path = file_with(tmp_path, ("1/(10 us)", "1/(10 s)"), ("d_min = 1.7", "d_min = 3.0"))
    assert main(["check", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "What the data leave open" in printed
    assert "- k(C->A): no delay beyond its time constant (10.0 s; the last delay is 1.00 ms)" in printed
    (row,) = (line for line in printed.splitlines() if "not determined" in line)
    assert "C->A" in row


def test_quick_leaves_it_out(tmp_path, capsys):
    path = file_with(tmp_path, ("d_min = 1.7", "d_min = 3.0"))
    assert main(["check", str(path), "--quick"]) == 0
    printed = capsys.readouterr().out
    assert "B->C" in printed
    assert "Expected standard errors" not in printed
    assert "structure factors" not in printed
    assert check(path, quick=True).identifiability is None


def test_errors_are_those_of_given_structures(tmp_path, capsys):
    path = file_with(tmp_path, ('["kinetics", "scale"]', '["kinetics", "structures", "scale"]'), ("1.7", "3.0"))
    assert main(["check", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "The errors are those at the structures as given; their refinement adds to them." in printed


@pytest.mark.parametrize(
    "change",
    [
        ('["kinetics", "scale"]', '["scale"]'),
        ('occupancy = "kinetics"', 'occupancy = "fixed"'),
    ],
)
def test_nothing_refined_nothing_said(tmp_path, change):
    fixed = "[fixed]\noccupancies = {" + '"298K"' + " = {I1 = 0.1, I2 = 0.1}}\n\n[output]"
    path = file_with(
        tmp_path, change, ("1.7", "3.0"), ("[output]", fixed) if "fixed" in change[1] else ("seed", "seed")
    )
    assert check(path).identifiability is None


def test_data_that_cannot_be_scaled_are_a_warning(tmp_path, monkeypatch):
    from torchref_kinetic_plugin.errors import ScalingError
    from torchref_kinetic_plugin.workflow import refining

    def fail(*_, **__):
        raise ScalingError("no scale")

    monkeypatch.setattr(refining, "prepare", fail)
    report = check(file_with(tmp_path, ("1.7", "3.0")))
    assert report.identifiability is None
    assert "no scale" in report.warnings
