"""Small crystals and synthetic data for the tests of the bridge."""

from __future__ import annotations

import gemmi
import numpy as np
import torch

from torchref_kinetic_plugin.bridge import Crystal, StructureFactorBank
from torchref_kinetic_plugin.bridge.environment import framework, quiet, settings

GROUPS = ("P 1", "P 1 21 1", "P 21 21 21", "P 43 21 2", "P 31 2 1", "P 61 2 2", "I 2 3")
CELLS = {
    "P 1": (20.0, 23.0, 27.0, 82.0, 95.0, 101.0),
    "P 1 21 1": (21.0, 24.0, 26.0, 90.0, 103.0, 90.0),
    "P 21 21 21": (21.0, 25.0, 29.0, 90.0, 90.0, 90.0),
    "P 43 21 2": (27.0, 27.0, 23.0, 90.0, 90.0, 90.0),
    "P 31 2 1": (28.0, 28.0, 24.0, 90.0, 90.0, 120.0),
    "P 61 2 2": (30.0, 30.0, 26.0, 90.0, 90.0, 120.0),
    "I 2 3": (32.0, 32.0, 32.0, 90.0, 90.0, 90.0),
}


def crystal(group: str) -> Crystal:
    return Crystal(gemmi.UnitCell(*CELLS[group]), gemmi.SpaceGroup(group))


def reflections(where: Crystal, d_min: float) -> np.ndarray:
    return np.asarray(gemmi.make_miller_array(where.cell, where.space_group, d_min), dtype=np.int32)


def structure(where: Crystal, *, seed: int = 0, n_residues: int = 6, anisotropic: bool = True) -> gemmi.Structure:
    """Atoms at random in the cell: alternative conformations with occupancies that do not sum to 1, a metal."""
    random = np.random.default_rng(seed)
    made = gemmi.Structure()
    made.name = "small"
    made.cell = where.cell
    made.spacegroup_hm = where.space_group.xhm()
    model, chain = gemmi.Model(1), gemmi.Chain("A")
    for number in range(1, n_residues + 1):
        residue = gemmi.Residue()
        residue.name, residue.seqid, residue.het_flag = "ALA", gemmi.SeqId(str(number)), "A"
        for name, element in (("N", "N"), ("CA", "C"), ("C", "C"), ("O", "O"), ("CB", "C"), ("SG", "S")):
            for altloc, occupancy in (("A", 0.45), ("B", 0.3)) if number == 2 else (("\0", 1.0),):
                residue.add_atom(_atom(name, element, altloc, occupancy, where, random, anisotropic))
        chain.add_residue(residue)
    ion = gemmi.Residue()
    ion.name, ion.seqid, ion.het_flag = "ZN", gemmi.SeqId("100"), "H"
    ion.add_atom(_atom("ZN", "Zn", "\0", 0.7, where, random, False))
    chain.add_residue(ion)
    model.add_chain(chain)
    made.add_model(model)
    made.setup_entities()
    return made


def _atom(
    name: str,
    element: str,
    altloc: str,
    occupancy: float,
    where: Crystal,
    random: np.random.Generator,
    anisotropic: bool,
) -> gemmi.Atom:
    atom = gemmi.Atom()
    atom.name, atom.element, atom.altloc, atom.occ = name, gemmi.Element(element), altloc, occupancy
    atom.b_iso = float(random.uniform(8.0, 30.0))
    atom.pos = where.cell.orthogonalize(gemmi.Fractional(*random.uniform(0.0, 1.0, 3)))
    if anisotropic and random.uniform() < 0.3:
        u = random.normal(0.0, 0.03, (3, 3))
        u = u @ u.T + 0.15 * np.eye(3)
        atom.aniso = gemmi.SMat33f(u[0, 0], u[1, 1], u[2, 2], u[0, 1], u[0, 2], u[1, 2])
    return atom


def direct_sum(made: gemmi.Structure, hkl: np.ndarray) -> np.ndarray:
    """Structure factors by gemmi's direct summation, no grid."""
    made = made.clone()
    made.setup_cell_images()
    calculator = gemmi.StructureFactorCalculatorX(made.cell)
    return np.array([calculator.calculate_sf_from_model(made[0], [int(i) for i in h]) for h in hkl])


def framework_masks(bank: StructureFactorBank) -> torch.Tensor:
    """Solvent masks as TorchRef draws them, with the radii of its scaler, on the grid of the structure factors."""
    masks = []
    with settings(dtype=bank.dtype, cutoff=bank.cutoff), quiet(), torch.no_grad():
        for model in bank.models:
            solvent = framework("scaling").SolventModel(model, radius=1.1, erosion_radius=0.9, verbose=0)
            solvent.update_solvent()
            masks.append(solvent.get_rec_solvent(bank.hkl))
    return torch.stack(masks).to(torch.complex128)


def framework_r_factors(
    amplitudes: np.ndarray,
    sigmas: np.ndarray,
    hkl: np.ndarray,
    where: Crystal,
    *,
    atoms: torch.Tensor,
    masks: torch.Tensor,
    free: np.ndarray,
) -> tuple[float, float]:
    """R-work and R-free after TorchRef's own fit of scale and solvent, with a mask given to it."""
    seen = np.flatnonzero(np.isfinite(amplitudes) & (np.nan_to_num(amplitudes) > 0.0))
    canonical = where.to_asu(hkl[seen])
    with settings(dtype=torch.float64), quiet():
        data = framework().ReflectionData.from_tensors(
            torch.as_tensor(canonical),
            torch.as_tensor(amplitudes[seen]),
            torch.as_tensor(sigmas[seen]),
            where.parameters,
            where.space_group,
            rfree_flags=torch.as_tensor(~free[seen]),
            verbose=0,
            device="cpu",
            friedel_merged=True,
        )
        rows = {tuple(index): row for index, row in zip(canonical.tolist(), seen, strict=True)}
        order = np.array([rows[tuple(index)] for index in data.hkl.tolist()])
        scaler = framework().ScalerBase(data, verbose=0)
        scaler.calc_initial_scale(atoms[order])
        solvent = framework("scaling.solvent").SolventModel(None, k_solvent=0.35, verbose=0, device="cpu")
        solvent.get_rec_solvent = lambda _: masks[order]
        scaler.set_solvent_model(solvent)
        scaler.setup_anisotropy_correction()
        found = scaler.refine_lbfgs(atoms[order], nsteps=5, verbose=False)
    return found["rwork"][-1], found["rfree"][-1]
