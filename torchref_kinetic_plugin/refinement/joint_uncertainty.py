"""What the freedom of the atoms costs the rates and yields, and how well the atoms are known.

Information about everything that moves, products of scores of the data plus the curvature of the restraints, is one
matrix. Its Schur complement, atoms and scales eliminated, is what is left about rates and yields. Data of an experiment
know the atoms of one crystal form, and nothing but siblings ties forms together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from scipy.linalg import lapack
from torch import Tensor

from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.refinement.experiment import Floats
from torchref_kinetic_plugin.refinement.form_restraints import FormRestraints
from torchref_kinetic_plugin.refinement.joint_objective import JointExperiment
from torchref_kinetic_plugin.refinement.joint_variables import Indices, JointVariables
from torchref_kinetic_plugin.refinement.quadratic import LARGEST_RESIDUAL, forces, part_rows, pseudo_inverse
from torchref_kinetic_plugin.refinement.restraint_curvature import restraint_curvature
from torchref_kinetic_plugin.threads import one_thread

#: Numbers of one block of derivatives: bounds memory.
_BLOCK_NUMBERS = 4_000_000
#: Curvature, in units of the largest, below which a direction of the atoms is not determined.
_RANK = 1e-9


@final
@dataclass(frozen=True, eq=False)
class AtomFreedom:
    """What the atoms' freedom means.

    Attributes
    ----------
    lost : ndarray
        (n_refined, n_refined), information about the provider's parameters that the atoms take away.
    kept : float
        Smallest fraction that is left of the information about any combination of them; 1 without parameters.
    errors : ndarray
        (n_free,) standard error of each free row's position along one axis, A.
    scatter : ndarray
        (n_refined, n_refined), products of scores as they are, atoms and scales eliminated; what restraints and
        priors say counts as observations that scatter as they say.
    """

    lost: Floats
    kept: float
    errors: Floats
    scatter: Floats


@one_thread()
def atom_freedom(
    experiments: Sequence[JointExperiment], variables: JointVariables, restraints: FormRestraints
) -> AtomFreedom:
    """Evaluate at the variables' present values, which should be those of the best fit.

    Parameters
    ----------
    experiments : sequence of JointExperiment
        Data and structures.
    variables : JointVariables
        What moves; coordinates and isotropic displacement of rows count, anisotropic displacement does not.
    restraints : FormRestraints
        Of the atoms.
    """
    n_free, n_b = len(variables.rows.free), variables.b.stop - variables.b.start
    n_atoms = 3 * n_free + n_b
    search = SecondOrderFit(list(variables.provider.modules_by_experiment), [])
    slopes = [slope for _, slope in search.jacobians()]
    atoms = restraint_curvature(variables, restraints)
    coupling = np.zeros((n_atoms, search.size))
    kinetics = np.zeros((search.size, search.size))
    scatter = _Scatter(atoms.copy(), coupling.copy(), _prior_curvature(variables))
    for number, each in enumerate(experiments):
        columns = variables.columns_of(each.block)
        own, as_is = _information(each, variables, variables.provider()[number].detach(), slopes[number])
        a, k = slice(0, len(columns)), slice(len(columns), len(columns) + search.size)
        scales = own[k.stop :, k.stop :]
        through = own[: k.stop, k.stop :] @ pseudo_inverse(scales) if len(scales) else np.zeros((k.stop, 0))
        left = own[: k.stop, : k.stop] - through @ own[k.stop :, : k.stop]
        atoms[np.ix_(columns, columns)] += left[a, a]
        coupling[columns] += left[a, k]
        kinetics += left[k, k]
        scatter.add(columns, as_is, through)
    half = _half_inverse(atoms)
    inverse_diagonal = (half**2).sum(axis=0)
    lost = (half @ coupling).T @ (half @ coupling)
    kept = 1.0
    if search.size:
        scale = np.sqrt(np.maximum(np.diag(kinetics), 1e-300))
        whole, less = kinetics / np.outer(scale, scale), lost / np.outer(scale, scale)
        spectrum, axes = np.linalg.eigh(whole)
        seen = spectrum > 1e-10 * spectrum[-1]
        white = axes[:, seen] / np.sqrt(spectrum[seen])
        kept = 1.0 - float(np.linalg.eigvalsh(white.T @ less @ white)[-1])
    errors = np.sqrt(inverse_diagonal[: 3 * n_free].reshape(-1, 3).mean(axis=1)) if n_free else np.zeros(0)
    return AtomFreedom(lost, kept, errors, scatter.eliminated((half @ coupling).T @ half))


@dataclass(eq=False)
class _Scatter:
    """Products of scores as they are: of atoms (a, a), of atoms and parameters (a, n), of parameters (n, n)."""

    atoms: Floats
    coupling: Floats
    parameters: Floats

    def add(self, columns: Indices, products: Floats, through: Floats) -> None:
        """Add those of one experiment, of its atoms, the parameters and the scales, which ``through`` eliminates."""
        some, n = len(columns), len(through)
        mixed = products[:n, n:] @ through.T
        left = products[:n, :n] - mixed - mixed.T + through @ products[n:, n:] @ through.T
        self.atoms[np.ix_(columns, columns)] += left[:some, :some]
        self.coupling[columns] += left[:some, some:]
        self.parameters += left[some:, some:]

    def eliminated(self, through: Floats) -> Floats:
        """Those of the parameters (n, n) when atoms follow them by ``through`` (n, a)."""
        mixed = through @ self.coupling
        return np.asarray(self.parameters - mixed - mixed.T + through @ self.atoms @ through.T)


def _prior_curvature(variables: JointVariables) -> Floats:
    """Second derivatives (n, n) of the provider's priors."""
    provider = variables.provider
    modules = list(provider.modules_by_experiment)
    return SecondOrderFit(modules, [], regularization_weight=provider.regularization_weight).regularization()[2]


def _half_inverse(atoms: Floats) -> Floats:
    """A matrix (m, n) whose square, transposed first, is the inverse of an information matrix on what it determines."""
    if not len(atoms):
        return atoms
    size = np.sqrt(np.maximum(np.diag(atoms), 1e-6))
    scaled = atoms / np.outer(size, size)
    # Cholesky's factor is there in a tenth of the time that eigenvalues take, which matters with several forms.
    factor, failed = lapack.dpotrf(scaled, lower=1)
    if not failed:
        condition, _ = lapack.dpocon(factor, np.abs(scaled).sum(axis=0).max(), uplo="L")
        if condition > _RANK:
            inverse, _ = lapack.dtrtri(factor, lower=1)
            return np.asarray(np.tril(inverse) / size)
    values, vectors = np.linalg.eigh(scaled)
    known = values > _RANK * max(float(values[-1]), 1e-300)
    half: Floats = (vectors[:, known] / np.sqrt(values[known])).T / size
    return half


def _information(
    each: JointExperiment, variables: JointVariables, occupancies: Tensor, slope: Tensor
) -> tuple[Floats, Floats]:
    """Products of scores of one experiment: atoms of its crystal form, the provider's parameters, scales.

    Large ones scaled down, as they stand for the curvature, and as they are.
    """
    model, values = each.model, each.in_cell(variables.values)
    evaluation = model.evaluate(occupancies)
    columns = _columns(each, variables)
    n_atoms, width = len(variables.columns_of(each.block)), slope.shape[1]
    width += model.nuisances.scale.size if variables.refine_scale else 0
    totals = [np.zeros((n_atoms + width,) * 2) for _ in range(2)]
    most = max((len(rows) for _, rows in each.bank.moving_groups()), default=1)
    for part in evaluation.parts():
        pulls, others = [], []
        for largest in (LARGEST_RESIDUAL, None):
            by_occupancies, by_scales = part_rows(model, part, largest)
            scales = by_scales if variables.refine_scale else by_scales[:, :0]
            others.append(torch.cat([by_occupancies @ slope.to(by_occupancies), scales], dim=1))
            work, force, _ = forces(model, part, largest_residual=largest)
            # What pulls at each structure: (K, n).
            pulls.append(evaluation.occupancies.to(force) @ force)
        for block in torch.split(torch.arange(len(work)), max(1, _BLOCK_NUMBERS // (4 * max(most, 1)))):
            rows = [others[0].new_zeros(len(block), n_atoms) for _ in pulls]
            for number, (users, _) in enumerate(each.bank.moving_groups()):
                derivatives = each.bank.derivatives(values, number, work[block])
                for pull, row in zip(pulls, rows, strict=True):
                    together = pull[list(users)][:, block].sum(0)
                    score = (together.conj()[:, None, None] * derivatives).real
                    if each.to_cell is not None:
                        score[:, :, :3] = score[:, :, :3] @ each.to_cell.to(score)
                    for atoms, which, numbers in columns[number]:
                        row.index_add_(1, numbers.to(row.device), score[:, atoms, which])
            for number, (row, other) in enumerate(zip(rows, others, strict=True)):
                whole = torch.cat([row, other[block]], dim=1)
                totals[number] += (whole.T @ whole).cpu().numpy()
    return totals[0], totals[1]


def _columns(each: JointExperiment, variables: JointVariables) -> list[list[tuple[Tensor, Tensor, Tensor]]]:
    """For each moving group: atoms, which derivative, and its column; hydrogens add to what they ride on.

    Rows are the bank's, columns count those of `JointVariables.columns_of` its block.
    """
    first = each.block.start or 0
    parents = dict(zip(variables.rows.riding.tolist(), variables.rows.parent.tolist(), strict=True))
    within = variables.columns_of(each.block)
    place_of = dict(zip(within.tolist(), range(len(within)), strict=True))
    coordinates = {row: 3 * number for number, row in enumerate(variables.rows.free.tolist())}
    isotropic = {row: variables.b.start + number for number, row in enumerate(variables.isotropic.tolist())}
    found = []
    for _, rows in each.bank.moving_groups():
        targets = [parents.get(row + first, row + first) for row in rows.tolist()]
        starts = torch.tensor([place_of[coordinates[row]] for row in targets])
        atoms, axes = torch.arange(len(targets)), torch.arange(3)
        with_b = torch.tensor([number for number, row in enumerate(targets) if row in isotropic], dtype=torch.long)
        b = torch.tensor([place_of[isotropic[row]] for row in targets if row in isotropic], dtype=torch.long)
        found.append(
            [
                (atoms.repeat_interleave(3), axes.repeat(len(targets)), (starts[:, None] + axes).flatten()),
                (with_b, torch.full_like(with_b, 3), b),
            ]
        )
    return found
