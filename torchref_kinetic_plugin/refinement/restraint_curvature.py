"""Curvature of all restraints in the variables of a joint refinement, put together restraint by restraint."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array

from torchref_kinetic_plugin.refinement.atom_terms import AtomRestraints
from torchref_kinetic_plugin.refinement.experiment import Floats
from torchref_kinetic_plugin.refinement.form_restraints import FormRestraints
from torchref_kinetic_plugin.refinement.joint_variables import Indices, JointVariables


def restraint_curvature(variables: JointVariables, restraints: FormRestraints) -> Floats:
    """Second derivatives of the restraints, without their negative part.

    Returns
    -------
    ndarray
        (n, n), by the coordinates and ln B of the free rows, in the order of `JointVariables`.
    """
    result = np.zeros((variables.b.stop,) * 2)
    places = Places(variables)
    for form, block in zip(restraints.forms, restraints.blocks, strict=True):
        columns = variables.columns_of(block)
        if len(columns):
            whole = _of_form(form, block, variables, places)[np.ix_(columns, columns)]
            values, vectors = np.linalg.eigh(0.5 * (whole + whole.T))
            result[np.ix_(columns, columns)] += (vectors * np.maximum(values, 0.0)) @ vectors.T
    if restraints.siblings is not None:
        rows, curvature = restraints.siblings.curvature(variables.values)
        by_atom = places.xyz_of(np.asarray(rows.T.cpu().numpy(), dtype=np.intp))
        result += _assembled(by_atom, curvature.cpu().numpy(), len(result))
    return result


class Places:
    """Columns of the variables that rows of atoms have; -1 for those that do not move.

    Parameters
    ----------
    variables : JointVariables
        Their free rows; hydrogens have the columns of what they ride on.
    """

    def __init__(self, variables: JointVariables) -> None:
        rows, isotropic = variables.rows, variables.isotropic.cpu().numpy()
        n = len(variables.values.b)
        # One more, which -1 finds.
        self._xyz, self._b = np.full(n + 1, -1), np.full(n + 1, -1)
        self._xyz[rows.free] = 3 * np.arange(len(rows.free))
        self._b[isotropic] = variables.b.start + np.arange(len(isotropic))
        for columns in (self._xyz, self._b):
            columns[rows.riding] = columns[rows.parent]

    def xyz_of(self, rows: Indices) -> Indices:
        """(n, 3 k), from rows (n, k)."""
        first = self._xyz[rows][:, :, None]
        return np.where(first < 0, -1, first + np.arange(3)).reshape(len(rows), 3 * rows.shape[1])

    def b_of(self, rows: Indices) -> Indices:
        """(n, k), from rows (n, k)."""
        return np.asarray(self._b[rows])


def _of_form(form: AtomRestraints, block: slice, variables: JointVariables, places: Places) -> Floats:
    total = np.zeros((variables.b.stop,) * 2)
    for of_b, local, matrices in form.curvature(variables.values.rows(block)):
        rows = local.cpu().numpy() + (block.start or 0)
        columns = places.b_of(rows) if of_b else places.xyz_of(rows)
        total += _assembled(columns, matrices.detach().cpu().numpy(), len(total))
    return total


def _assembled(columns: Indices, matrices: Floats, size: int) -> Floats:
    """Sum (size, size) of matrices (n, m, m) at columns (n, m), but for columns of -1."""
    n, m = columns.shape
    first, second = np.broadcast_to(columns[:, :, None], (n, m, m)), np.broadcast_to(columns[:, None, :], (n, m, m))
    kept = (first >= 0) & (second >= 0)
    whole: Floats = coo_array((matrices[kept], (first[kept], second[kept])), shape=(size, size)).toarray()
    return whole
