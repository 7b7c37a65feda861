"""A fit to too few reflections: scales that run off end it in plain words, before numbers do."""

from pathlib import Path

import numpy as np
import pytest

from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.scale_runaway import scale_remarks
from torchref_kinetic_plugin.workflow.assembling import remarks_of
from torchref_kinetic_plugin.workflow.loading import load_refinement
from torchref_kinetic_plugin.workflow.refining import prepare

EXAMPLE = Path(__file__).parents[2] / "example_data" / "photocycle" / "refinement.toml"
#: No branch of it explains the intermediates, at a resolution where the error model has 18 free reflections.
PARALLEL = {
    "scheme": "A->B,A->C,B->A,C->A",
    "light_activated": True,
    "state_mapping": {"A": "dark", "B": "I1", "C": "I2"},
    "rate_constants": {"A->B": "inf", "A->C": "inf", "B->A": "1/(10 us)", "C->A": "1/(10 us)"},
    "efficiencies": {"A->B": 0.25, "A->C": 0.25},
    "refine_efficiencies": ["A->B", "A->C"],
}


@pytest.fixture
def few(tmp_path):
    """The refinement file of four of the delays."""
    lines = EXAMPLE.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not any(f"t0{number}.mtz" in line for number in (1, 3, 7, 8))]
    text = "".join(kept)
    for name in ("dark.mtz", "t02", "t04", "t05", "t06", "dark.pdb", "i1.pdb", "i2.pdb"):
        text = text.replace(f'"{name}', f'"{EXAMPLE.parent / name}')
    (tmp_path / "refinement.toml").write_text(text)
    return tmp_path / "refinement.toml"


def fitted(path, **overrides):
    run = prepare(load_refinement(path, overrides={"refinement.d_min": 5.0, **overrides}), device="cpu")
    return run, fit_kinetics(run.models, run.provider, n_starts=1)


def test_scales_that_run_off_are_told_and_every_number_is_one(few):
    run, fit = fitted(few, kinetics=PARALLEL)
    (model,) = run.models
    assert not fit.converged
    assert np.isfinite([fit.work, fit.free, *model.nuisances.scale.ravel(), *model.nuisances.error]).all()
    (said,) = scale_remarks(run.models)
    assert said == (
        "298K: scales left those of the structures by a factor of 10 and more, and the fit was stopped. 316 work and 18 "
        "free reflections do not hold 35 coefficients of scales and an error model; what came out is of no use. Take "
        'data to higher resolution, more free reflections, or leave "scale" out of refine'
    )
    remarks = remarks_of(run, fit)
    assert said in remarks
    assert not any("still promised a gain" in remark for remark in remarks)


def test_the_right_scheme_keeps_its_scales_with_as_few(few):
    run, fit = fitted(few)
    (model,) = run.models
    assert fit.converged
    assert scale_remarks(run.models) == []
    change = model.nuisances.scale @ model.scale_design.numpy().T
    assert np.abs(change).max() < np.log(2.0)
