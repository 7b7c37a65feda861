"""Half a transform gives the structure factors of a whole one, and its adjoint is one."""

import gemmi
import numpy as np
import pytest
import torch

from torchref_kinetic_plugin.bridge.transform import DensityTransform


def made(group, shape, d_min=6.0):
    cell = (
        gemmi.UnitCell(30, 30, 40, 90, 90, 120)
        if "3" in group or "6" in group
        else gemmi.UnitCell(30, 34, 40, 90, 90, 90)
    )
    space_group = gemmi.SpaceGroup(group)
    hkl = np.asarray(gemmi.make_miller_array(cell, space_group, d_min), dtype=np.int64)
    # Some of the other half as well, which files may hold.
    hkl[::3] *= -1
    equivalent, phases = [], []
    for op in space_group.operations():
        equivalent.append(np.rint(hkl @ np.array(op.rot) / op.DEN))
        phases.append(np.exp(2j * np.pi * hkl @ np.array(op.tran) / op.DEN))
    transform = DensityTransform(
        torch.as_tensor(np.array(equivalent), dtype=torch.int64), torch.as_tensor(np.array(phases)), shape, cell.volume
    )
    density = torch.from_numpy(np.random.default_rng(1).random(shape))
    return transform, density, np.array(equivalent), np.array(phases), cell.volume


CASES = [("P 1", (15, 17, 20)), ("P 21 21 21", (16, 18, 20)), ("P 61 2 2", (18, 18, 24)), ("P -1", (15, 16, 21))]


@pytest.mark.parametrize(("group", "shape"), CASES)
def test_it_is_the_sum_over_the_density(group, shape):
    transform, density, equivalent, phases, volume = made(group, shape)
    place = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), -1).reshape(-1, 3)
    chosen = np.arange(0, equivalent.shape[1], 7)
    waves = np.exp(2j * np.pi * equivalent[:, chosen] @ place.T) @ density.numpy().ravel()
    expected = (waves * phases[:, chosen]).sum(0) * volume / np.prod(shape)
    found = transform(density).numpy()
    np.testing.assert_allclose(found[chosen], expected, rtol=1e-10, atol=1e-10 * np.abs(found).max())


@pytest.mark.parametrize(("group", "shape"), CASES)
def test_the_gradient_is_the_adjoint(group, shape):
    transform, density, *_ = made(group, shape)
    density.requires_grad_()
    factors = transform(density)
    random = np.random.default_rng(2)
    force = torch.from_numpy(random.standard_normal((len(factors), 2)))
    (torch.view_as_real(factors) * force).sum().backward()
    other = torch.from_numpy(random.random(shape))
    along = (torch.view_as_real(transform(other)) * force).sum()
    assert float((density.grad * other).sum()) == pytest.approx(float(along), rel=1e-10)
