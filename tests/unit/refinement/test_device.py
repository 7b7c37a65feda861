"""Nothing inside the likelihood waits for a device, and another device finds the same."""

import contextlib

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.unit.refinement.small_joint import setup
from tests.unit.refinement.small_series import five_times_off, series
from torchref_kinetic_plugin.refinement import error_integral, reflection_blocks
from torchref_kinetic_plugin.refinement.data_loss import DataLoss
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.joint_objective import JointObjective
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.workflow.joint_setup import restraints_of

#: Operations whose result has a size, or is a number, that only the device knows.
WAITING = (
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "is_nonzero",
    "equal",
    "unique",
    "_unique2",
    "bincount",
    "repeat_interleave",
)
#: What takes numbers from a tensor to Python, and what brings numbers from Python or the host to a tensor.
TAKING = ("item", "cpu", "numpy", "tolist", "__bool__", "__float__", "__int__", "__index__", "new_tensor", "__array__")
BRINGING = ("tensor", "as_tensor", "from_numpy")

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


class Waits(TorchDispatchMode):
    """Records what would wait for a device."""

    def __init__(self):
        super().__init__()
        self.found = []
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        name = func.__name__.split(".")[0]
        by_flags = name in {"index", "index_put", "index_put_", "_index_put_impl_"} and any(
            each is not None and each.dtype == torch.bool for each in args[1]
        )
        moved = name == "_to_copy" and (kwargs or {}).get("device", args[0].device) != args[0].device
        if name in WAITING or by_flags or moved:
            self.found.append(func.__name__)
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def recorded(monkeypatch):
    """All of `Waits`, and every way from and to the host."""
    mode = Waits()
    with monkeypatch.context() as patch:
        for owner, names in ((torch.Tensor, TAKING), (torch, BRINGING)):
            for name in names:
                plain = getattr(owner, name)

                def told(*args, _plain=plain, _name=name, **kwargs):
                    mode.found.append(_name)
                    return _plain(*args, **kwargs)

                patch.setattr(owner, name, told)
        with mode:
            yield mode


def loss_of(model):
    return DataLoss(model, model.work & (np.arange(len(model.work)) % 20 != 0))


def inputs(model):
    occupancies = five_times_off()()[0].detach()
    return model.components, occupancies, torch.as_tensor(model.nuisances.scale)


@pytest.fixture
def far(monkeypatch):
    """The processor, treated as a device that would have to be waited for."""
    monkeypatch.setattr(error_integral, "_is_far", lambda _: True)


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize("length", [None, 300])
def test_nothing_inside_the_loss_waits(monkeypatch, length):
    """Neither forward nor backward, in one block or in several."""
    if length is not None:
        monkeypatch.setattr(reflection_blocks, "BLOCK_BYTES", length * 8 * reflection_blocks._PER_OBSERVATION)
    model = series(missing=0.1, n_references=2)
    assert (len(model.blocks) > 1) == (length is not None)
    loss, given = loss_of(model), inputs(model)
    whole = loss(*given)
    variance, inflation = model.error_variance(), torch.as_tensor(model.nuisances.inflation)
    with recorded(monkeypatch) as mode:
        found = loss._slopes(*given, variance, inflation)
    assert mode.count > 200
    assert mode.found == []
    torch.testing.assert_close(found.by_components, whole.by_components, rtol=0.0, atol=0.0)


def test_what_waits_is_seen(monkeypatch):
    """Of the processor itself the rows of each kind are asked: a recorder that saw nothing would be none."""
    model = series(missing=0.1)
    loss, given = loss_of(model), inputs(model)
    variance, inflation = model.error_variance(), torch.as_tensor(model.nuisances.inflation)
    with recorded(monkeypatch) as mode:
        loss._slopes(*given, variance, inflation)
        flags = given[0].real > 0.0
        given[0][flags]
        bool(flags.any())
        torch.as_tensor(1.0)
    names = {each.split(".")[0] for each in mode.found}
    assert {"nonzero", "index", "__bool__", "_local_scalar_dense", "as_tensor"} <= names


def test_choosing_rows_and_choosing_results_is_the_same(monkeypatch):
    model = series(missing=0.1, noise=0.2)
    near = loss_of(model)(*inputs(model))
    monkeypatch.setattr(error_integral, "_is_far", lambda _: True)
    monkeypatch.setattr(error_integral, "_FAR_BLOCK_NUMBERS", 200_000)
    far = loss_of(model)(*inputs(model))
    assert far.value.item() == pytest.approx(near.value.item(), rel=1e-13)
    for name in ("by_components", "by_occupancies", "by_scale"):
        size = float(getattr(near, name).abs().max())
        torch.testing.assert_close(getattr(far, name), getattr(near, name), rtol=0.0, atol=1e-11 * size)


def on_gpu(model):
    """The same experiment there."""
    other = ExperimentModel(
        model.data, model.components.cuda(), model.base_log_scale.numpy(), model.reference_occupancies
    )
    other.nuisances = model.nuisances.copy()
    return other


@needs_gpu
def test_loss_and_slopes_are_the_same_on_a_gpu():
    model = series(missing=0.1, n_references=2)
    here, there = loss_of(model)(*inputs(model)), loss_of(on_gpu(model))(*inputs(model))
    assert there.value.device.type == "cuda"
    for name in ("value", "by_components", "by_occupancies", "by_scale"):
        near, far = getattr(here, name), getattr(there, name).cpu()
        torch.testing.assert_close(far, near, rtol=0.0, atol=1e-6 * float(near.abs().max()))


@needs_gpu
def test_nothing_inside_the_loss_waits_for_a_gpu():
    model = on_gpu(series(missing=0.1))
    loss, given = loss_of(model), [each.cuda() for each in inputs(model)]
    loss(*given)
    variance, inflation = model.error_variance(), torch.as_tensor(model.nuisances.inflation).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss._slopes(*given, variance, inflation)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_gpu
def test_a_fit_on_a_gpu_ends_at_the_same_rates():
    rates = []
    for model in (series(seed=2), on_gpu(series(seed=2))):
        provider = five_times_off()
        fit_kinetics([model], provider)
        rates.append(provider()[0].detach())
    torch.testing.assert_close(rates[1], rates[0], rtol=0.0, atol=1e-5)


@needs_gpu
def test_a_joint_objective_on_a_gpu_is_the_same():
    found = []
    for device in ("cpu", "cuda"):
        refinement, made = setup(device=device)
        restraints = restraints_of(refinement, made)
        restraints.set_widths((0.2,))
        objective = JointObjective(made.experiments, made.variables, restraints)
        found.append(objective(made.variables.get()))
    here, there = found
    # TorchRef's kernels of the two devices agree less well than that.
    assert there.total == pytest.approx(here.total, rel=1e-5)
    size = np.abs(here.gradient).max()
    np.testing.assert_allclose(there.gradient, here.gradient, rtol=0.0, atol=1e-3 * size)
