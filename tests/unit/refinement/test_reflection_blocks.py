"""However many blocks the reflections are in, the likelihood and all that is made of it stay what they are."""

import numpy as np
import pytest
import torch

from tests.unit.refinement.small_series import five_times_off, series
from torchref_kinetic_plugin.refinement import reflection_blocks
from torchref_kinetic_plugin.refinement.amplitude_form import amplitude_form
from torchref_kinetic_plugin.refinement.curvature import error_coupling, full_curvature
from torchref_kinetic_plugin.refinement.data_loss import DataLoss
from torchref_kinetic_plugin.refinement.error_model import settle_error_model
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm, score_rows, score_sums

#: Reflections of a block.
LENGTHS = (400, 61)


def in_blocks(monkeypatch, length):
    """The same series, with gaps and two references, in blocks of so many reflections; all in one without."""
    if length is not None:
        bytes_of_one = reflection_blocks._PER_OBSERVATION * 8
        monkeypatch.setattr(reflection_blocks, "BLOCK_BYTES", length * bytes_of_one)
    model = series(seed=3, n_references=2, missing=0.1, d_min=4.0)
    assert len(model.data.datasets) == 8
    if length is None:
        assert len(model.blocks) == 1
    else:
        assert len(model.blocks) == -(-len(model.data.grid.hkl) // length)
        assert max(rows.stop - rows.start for rows in model.blocks) <= length
    return model


def everything(model):
    """Loss, slopes, forms, and error models that follow from one point, by name."""
    occupancies = five_times_off()()[0].detach()
    moved = settle_error_model(model, occupancies)
    chosen = model.work & (np.arange(len(model.work)) % 20 != 0)
    slopes = DataLoss(model, chosen)(model.components, occupancies, torch.as_tensor(model.nuisances.scale) + 0.01)
    evaluation = model.evaluate(occupancies)
    found = {name: getattr(slopes, name) for name in ("value", "by_components", "by_occupancies", "by_scale")}
    found |= {"moved": moved, "error": model.nuisances.error, "inflation": model.nuisances.inflation}
    found |= {"work": evaluation.work, "free": evaluation.free, "each": evaluation.log_likelihood}
    found |= {"sum": score_sums(model, evaluation)[0], "rows": score_rows(model, evaluation)[1]}
    for name, form in (
        ("scores", QuadraticForm.at(model, evaluation)),
        ("amplitudes", amplitude_form(model, occupancies)),
        ("curvature", full_curvature(model, occupancies)),
    ):
        found |= {f"{name} {part}": getattr(form, part) for part in ("occupancies", "coupling", "scales")}
    model.refresh_strength(occupancies)
    found |= {"strength": model.strength, "mixed": error_coupling(model, occupancies)[1]}
    return {name: np.asarray(value) for name, value in found.items()}


@pytest.fixture(scope="module")
def whole():
    with pytest.MonkeyPatch.context() as patch:
        return everything(in_blocks(patch, None))


@pytest.mark.parametrize("length", LENGTHS)
def test_nothing_depends_on_the_blocks(monkeypatch, whole, length):
    found = everything(in_blocks(monkeypatch, length))
    assert found.keys() == whole.keys()
    for name, value in found.items():
        # Differences of scores divide what rounding leaves by their step.
        allowed = (
            1e-10 if name not in ("curvature occupancies", "curvature coupling", "curvature scales", "mixed") else 1e-6
        )
        size = np.abs(whole[name]).max()
        np.testing.assert_allclose(value, whole[name], rtol=0.0, atol=allowed * size, err_msg=name)


def test_parts_are_of_the_point_where_they_were_asked_for(monkeypatch):
    """Scores that are computed later do not follow a model that has moved on."""
    model = in_blocks(monkeypatch, 101)
    occupancies = five_times_off()()[0].detach()
    evaluation = model.evaluate(occupancies)
    before = QuadraticForm.at(model, evaluation)
    model.nuisances.scale = model.nuisances.scale + 0.1
    model.nuisances.error[0] += 0.5
    model.refresh_strength(occupancies)
    np.testing.assert_array_equal(QuadraticForm.at(model, evaluation).by_scales, before.by_scales)
    assert (QuadraticForm.at(model, model.evaluate(occupancies)).by_scales != before.by_scales).any()


def test_single_precision_of_what_the_sigmas_depend_on_is_enough(monkeypatch):
    """As it is kept where there are many observations: the same to a millionth."""
    model = in_blocks(monkeypatch, 101)
    monkeypatch.setattr(reflection_blocks, "_MANY_OBSERVATIONS", 1)
    single = in_blocks(monkeypatch, 101)
    assert single.strength.dtype == torch.float32
    model.nuisances.inflation[:] = single.nuisances.inflation[:] = (0.2, 0.1, 0.15)
    occupancies = five_times_off()()[0].detach()
    one, other = (
        DataLoss(each, each.work)(each.components, occupancies, torch.as_tensor(each.nuisances.scale))
        for each in (model, single)
    )
    assert one.value.item() == pytest.approx(other.value.item(), rel=1e-7)
    torch.testing.assert_close(
        one.by_components, other.by_components, rtol=0.0, atol=1e-6 * float(one.by_components.abs().max())
    )
