"""Curvature put together from single restraints, against products with the Hessian of their sum."""

import numpy as np
import pytest
import torch

from tests.unit.refinement import small_joint
from torchref_kinetic_plugin.bridge.local_curvature import local_curvature
from torchref_kinetic_plugin.refinement.restraint_curvature import Places, _assembled, _of_form, restraint_curvature
from torchref_kinetic_plugin.workflow.joint_setup import restraints_of


def test_of_springs():
    """Two springs in a row, x0 - x1 - x2, of stiffness 2 and 3, stretched along x from their length of 1."""
    xyz = torch.tensor([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [2.5, 0.0, 0.0]], dtype=torch.float64)
    rows, stiffness = torch.tensor([[0, 1], [1, 2]]), torch.tensor([2.0, 3.0], dtype=torch.float64)

    def springs(values, of):
        length = (values[of[:, 0]] - values[of[:, 1]]).norm(dim=1)
        return 0.5 * (stiffness * (length - 1.0) ** 2).sum()

    found = local_curvature(springs, xyz, rows)
    # Along a spring its stiffness, across it stiffness times (1 - 1 / length).
    own = np.diag([2.0, 2.0 / 3.0, 2.0 / 3.0])
    np.testing.assert_allclose(found[0], np.block([[own, -own], [-own, own]]), atol=1e-12)
    own = np.diag([3.0, 0.0, 0.0])
    np.testing.assert_allclose(found[1], np.block([[own, -own], [-own, own]]), atol=1e-12)


def test_what_two_restraints_share_is_added_and_what_does_not_move_is_left_out():
    columns = np.array([[0, 1], [1, -1], [1, 1]])
    matrices = np.arange(12.0).reshape(3, 2, 2)
    # The last is between an atom and its own symmetry mate.
    np.testing.assert_array_equal(
        _assembled(columns, matrices, 3), [[0, 1, 0], [2, 3 + 4 + 8 + 9 + 10 + 11, 0], [0, 0, 0]]
    )


@pytest.fixture(scope="module")
def away():
    """The example, its atoms 0.1 A from where they start."""
    refinement, made = small_joint.setup(3.0)
    restraints = restraints_of(refinement, made)
    restraints.set_widths((0.2,))
    vector = made.variables.get()
    random = np.random.default_rng(8)
    vector[made.variables.xyz] += 0.1 * random.normal(size=vector[made.variables.xyz].size)
    vector[made.variables.b] += 0.3 * random.normal(size=vector[made.variables.b].size)
    made.variables.set(vector)
    restraints.update_contacts(made.variables.values)
    return made.variables, restraints


def test_products_with_the_hessian_of_the_sum(away):
    variables, restraints = away
    columns, size = variables.columns_of(restraints.blocks[0]), variables.size
    found = _of_form(restraints.forms[0], restraints.blocks[0], variables, Places(variables))
    np.testing.assert_allclose(found, found.T, atol=1e-9 * np.abs(found).max())
    point = torch.from_numpy(variables.get()).requires_grad_()
    total = torch.stack(list(restraints(variables.atom_values(point)).values())).sum()
    (gradient,) = torch.autograd.grad(total, point, create_graph=True)
    random = np.random.default_rng(2)
    for _ in range(5):
        probe = np.zeros(size)
        probe[columns] = random.normal(size=len(columns))
        (expected,) = torch.autograd.grad(gradient, point, torch.from_numpy(probe), retain_graph=True)
        n = variables.b.stop
        np.testing.assert_allclose(found @ probe[:n], expected[:n], atol=1e-8 * float(expected.abs().max()))


def test_nothing_negative_is_left(away):
    variables, restraints = away
    whole = _of_form(restraints.forms[0], restraints.blocks[0], variables, Places(variables))
    kept = restraint_curvature(variables, restraints)
    values = np.linalg.eigvalsh(whole)
    assert values[0] < 0.0
    np.testing.assert_allclose(np.linalg.eigvalsh(kept), np.maximum(values, 0.0), atol=1e-8 * values[-1])
