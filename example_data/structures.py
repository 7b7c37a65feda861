"""Structures of a simulated series: the true ones at ideal geometry, and those handed to the user."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

#: Added to the smoothed B factors of the source, in square angstrom.
B_ADDED = 5.0
#: How far the structures handed to the user are off, root mean square, in angstrom.
DARK_ERROR = 0.035
LIGHT_ERROR = 0.20
#: Atoms that move further than this, in angstrom, are those over which the error of an intermediate is stated.
MOVED = 0.2

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Turn:
    """A side chain turned about CA-CB and CB-CG, by two angles in degrees."""

    residue: int
    angles: tuple[float, float]

    def applied(self, structure: gemmi.Structure, xyz: Array) -> Array:
        """Coordinates (n_atoms, 3) with the side chain turned."""
        names = np.array([atom.name for atom in atoms_of(structure)])
        inside = residue_numbers(structure) == self.residue
        at = {name: int(np.flatnonzero(inside & (names == name))[0]) for name in ("CA", "CB", "CG")}
        beyond = inside & ~np.isin(names, ("N", "CA", "C", "O", "CB"))
        xyz = xyz.copy()
        xyz[beyond] = turned(xyz[beyond], xyz[at["CA"]], xyz[at["CB"]], self.angles[0])
        xyz[beyond] = turned(xyz[beyond], xyz[at["CB"]], xyz[at["CG"]], self.angles[1])
        return xyz


@dataclass(frozen=True)
class Shift:
    """A loop moved along a vector in angstrom, most in its middle."""

    residues: range
    vector: tuple[float, float, float]

    def applied(self, structure: gemmi.Structure, xyz: Array) -> Array:
        """Coordinates (n_atoms, 3) with the loop moved."""
        numbers = residue_numbers(structure)
        size = np.where(
            np.isin(numbers, self.residues),
            np.sin(np.pi * (numbers - self.residues.start + 1) / (len(self.residues) + 1)),
            0.0,
        )
        return np.asarray(xyz + size[:, None] * np.array(self.vector))


@dataclass(frozen=True)
class StructureRecipe:
    """What the structures of a series are made from.

    Attributes
    ----------
    directory : Path
        Of the series: true structures go to its ``truth/``, those handed over into it.
    source : str
        Deposited coordinates, relative to the directory; one chain.
    motions : mapping
        Of each intermediate, from dark, one after the other.
    seed : int
        Of the errors of the structures handed over.
    """

    directory: Path
    source: str
    motions: Mapping[str, Sequence[Turn | Shift]]
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """Of all structures, dark first."""
        return ("dark", *self.motions)

    @property
    def files(self) -> dict[str, str]:
        """File of each structure, in the directory and in its ``truth/``."""
        return {name: f"{name.lower()}.pdb" for name in self.names}

    def moved(self, name: str, structure: gemmi.Structure) -> Array:
        """Coordinates (n_atoms, 3) of an intermediate, before its geometry is mended."""
        xyz = positions(structure)
        for motion in self.motions[name]:
            xyz = motion.applied(structure, xyz)
        return xyz

    def read(self, *, truth: bool) -> dict[str, gemmi.Structure]:
        """The structures as they are in their files."""
        folder = self.directory / "truth" if truth else self.directory
        return {name: gemmi.read_structure(str(folder / file)) for name, file in self.files.items()}

    def write(self) -> None:
        """Make all structures and write their files."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            truths, zones = true_structures(self)
            given = handed_over(truths, zones, self.seed)
        for folder, structures in ((self.directory / "truth", truths), (self.directory, given)):
            folder.mkdir(exist_ok=True)
            for file, structure in zip(self.files.values(), structures, strict=True):
                structure.write_pdb(str(folder / file))


def atoms_of(structure: gemmi.Structure) -> list[gemmi.Atom]:
    """All atoms, in file order."""
    return [atom for residue in structure[0][0] for atom in residue]


def positions(structure: gemmi.Structure) -> Array:
    """Coordinates (n_atoms, 3) in angstrom."""
    return np.array([atom.pos.tolist() for atom in atoms_of(structure)])


def with_positions(structure: gemmi.Structure, xyz: Array) -> gemmi.Structure:
    """Copy of a structure at other coordinates, rounded as its file will have them."""
    moved = structure.clone()
    for atom, place in zip(atoms_of(moved), xyz.round(3).tolist(), strict=True):
        atom.pos = gemmi.Position(*place)
    return moved


def residue_numbers(structure: gemmi.Structure) -> NDArray[np.int64]:
    """Residue number (n_atoms,) of each atom."""
    return np.array([residue.seqid.num for residue in structure[0][0] for _ in residue])


def turned(xyz: Array, start: Array, end: Array, degrees: float) -> Array:
    """Points (n, 3) turned about the axis from start to end."""
    axis = (end - start) / np.linalg.norm(end - start)
    angle, arm = math.radians(degrees), xyz - start
    return np.asarray(
        start
        + arm * math.cos(angle)
        + np.cross(axis, arm) * math.sin(angle)
        + np.outer(arm @ axis, axis) * (1.0 - math.cos(angle))
    )


def near(structure: gemmi.Structure, points: Array, distance: float) -> NDArray[np.bool_]:
    """Whether each atom (n_atoms,), or a symmetry copy of it, lies within a distance of the points."""
    search = gemmi.NeighborSearch(structure[0], structure.cell, 6.0).populate()
    serial = {address: number for number, address in enumerate(_addresses(structure))}
    found = np.zeros(len(serial), dtype=bool)
    for point in points.tolist():
        for mark in search.find_atoms(gemmi.Position(*point), "\0", radius=distance):
            found[serial[mark.residue_idx, mark.atom_idx]] = True
    return found


def _addresses(structure: gemmi.Structure) -> list[tuple[int, int]]:
    return [(r, a) for r, residue in enumerate(structure[0][0]) for a in range(len(residue))]


def start(recipe: StructureRecipe) -> gemmi.Structure:
    """Source coordinates at full occupancy, without weak waters and those in the way of the motions."""
    structure = gemmi.read_structure(str(recipe.directory / recipe.source))
    structure.setup_entities()
    leave_protein_and_water(structure)
    raw = positions(structure)
    blocked = np.zeros(len(raw), dtype=bool)
    for name in recipe.motions:
        moved = recipe.moved(name, structure)
        blocked |= near(structure, moved[np.linalg.norm(moved - raw, axis=1) > 0.0], 2.7)
    in_the_way = {address[0] for address, hit in zip(_addresses(structure), blocked, strict=True) if hit}
    chain = structure[0][0]
    for index in reversed(range(len(chain))):
        residue = chain[index]
        weak = residue[0].b_iso > 38.0 or (residue[0].occ < 0.99 and residue[0].b_iso > 30.0)
        if residue.is_water() and (weak or index in in_the_way):
            del chain[index]
    # The deposited B factors go down to 0 and jump between bonded atoms, which no restraint on them would allow.
    near_ones = proximity(positions(structure), 1.5)
    b_factors = near_ones @ np.array([atom.b_iso for atom in atoms_of(structure)]) / near_ones.sum(axis=1) + B_ADDED
    for atom, b_factor in zip(atoms_of(structure), b_factors.round(2).tolist(), strict=True):
        atom.occ, atom.b_iso = 1.0, b_factor
    return plain(structure)


def leave_protein_and_water(structure: gemmi.Structure) -> None:
    """Take ligands, ions and second conformers off, in place; selenomethionine becomes methionine."""
    structure.remove_alternative_conformations()
    chain = structure[0][0]
    for index in reversed(range(len(chain))):
        residue = chain[index]
        if residue.name == "MSE":
            residue.name, residue.het_flag = "MET", "A"
            selenium = residue["SE"][0]
            selenium.name, selenium.element = "SD", gemmi.Element("S")
        elif not (residue.is_water() or gemmi.find_tabulated_residue(residue.name).is_amino_acid()):
            del chain[index]
    # TorchRef takes a residue and its insertions for one.
    protein = [residue for residue in chain if not residue.is_water()]
    if any(residue.seqid.icode != " " for residue in protein):
        for number, residue in enumerate(protein, start=protein[0].seqid.num):
            residue.seqid = gemmi.SeqId(number, " ")


def plain(structure: gemmi.Structure) -> gemmi.Structure:
    """Structure without the records that belong to the deposited entry."""
    bare = gemmi.Structure()
    bare.cell = structure.cell
    bare.spacegroup_hm = structure.spacegroup_hm
    bare.add_model(structure[0])
    bare.setup_entities()
    bare.assign_serial_numbers()
    bare.setup_cell_images()
    return bare


def regularised(
    structure: gemmi.Structure, *, tether: float, free: NDArray[np.bool_] | None = None, steps: int = 300
) -> gemmi.Structure:
    """Structure at the minimum of TorchRef's geometry terms and a harmonic tether of the given sigma."""
    import torch
    from torchref.model.model import Model
    from torchref.refinement.targets.combined import TotalGeometryTarget

    # Sums in a fixed order: rounding that differs between runs grows to visible shifts over the steps.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "start.pdb"
        structure.write_pdb(str(path))
        model = Model(verbose=0)
        model.load_pdb(str(path))
    geometry = TotalGeometryTarget(model)
    coordinates = dict(model.named_parameters())["xyz.refinable_params"]
    origin = model.xyz().detach().clone()
    if not np.allclose(origin.numpy(), positions(structure), atol=2e-3):
        raise RuntimeError("TorchRef reordered the atoms")
    held = torch.zeros(len(origin), dtype=torch.bool) if free is None else torch.from_numpy(~free)
    optimizer = torch.optim.LBFGS(
        [coordinates],
        max_iter=steps,
        history_size=40,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-7,
        tolerance_change=1e-12,
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = geometry() + ((model.xyz() - origin) ** 2).sum() / (2.0 * tether**2)
        loss.backward()
        coordinates.grad[held] = 0.0
        return loss

    optimizer.step(closure)
    stats = geometry.stats()
    bond, angle, contact = (
        float(stats[term][entry].value)
        for term, entry in (("bond", "rms_delta"), ("angle", "rms_delta"), ("nonbonded", "max_violation"))
    )
    print(f"  bonds {bond:.4f} A, angles {angle:.2f} deg, worst contact {contact:.2f} A too short")
    return with_positions(structure, model.xyz().detach().numpy().astype(np.float64))


def zone_of(dark: gemmi.Structure, raw: Array) -> NDArray[np.bool_]:
    """Atoms (n_atoms,) free to adapt: residues that move and those, water included, that they touch."""
    changed = np.linalg.norm(raw - positions(dark), axis=1) > 0.0
    touched = changed | near(dark, raw[changed], 3.9)
    numbers = residue_numbers(dark)
    return np.isin(numbers, numbers[touched])


def true_structures(recipe: StructureRecipe) -> tuple[list[gemmi.Structure], list[NDArray[np.bool_]]]:
    """Dark and the intermediates at ideal geometry, with the atoms in which each may differ from dark."""
    dark = regularised(start(recipe), tether=0.1, steps=200)
    dark = regularised(dark, tether=0.5)
    structures, zones = [dark], [np.zeros(len(positions(dark)), dtype=bool)]
    for name in recipe.motions:
        raw = recipe.moved(name, dark)
        zone = zone_of(dark, raw)
        light = regularised(with_positions(dark, raw), tether=0.3, free=zone)
        structures.append(regularised(light, tether=0.5, free=zone))
        zones.append(zone)
    return structures, zones


def proximity(xyz: Array, length: float) -> Array:
    """Gaussian of the distance (n, n) between atoms."""
    return np.asarray(np.exp(-0.5 * (np.linalg.norm(xyz[:, None] - xyz[None], axis=-1) / length) ** 2))


def smooth_field(xyz: Array, rng: np.random.Generator, *, length: float = 2.0) -> Array:
    """Random displacements (n, 3), alike for atoms closer than a length, of unit root mean square."""
    field = proximity(xyz, length) @ rng.standard_normal(xyz.shape)
    return np.asarray(field / np.sqrt(np.mean(np.sum(field**2, axis=1))))


def rms(difference: Array) -> float:
    """Root mean square length of displacements (n, 3)."""
    return float(np.sqrt(np.mean(np.sum(difference**2, axis=1))))


def disturbed(
    base: gemmi.Structure,
    origin: Array,
    truth: Array,
    field: Array,
    *,
    free: NDArray[np.bool_],
    judged: NDArray[np.bool_],
    size: float,
) -> gemmi.Structure:
    """Structure off the truth by a wanted r.m.s. distance over the atoms judged, at plausible geometry.

    Free atoms start at ``origin`` displaced along the field, the others stay as they are in ``base``.
    """
    amount = size
    for _ in range(4):
        xyz = positions(base)
        xyz[free] = (origin + amount * field)[free]
        result = regularised(with_positions(base, xyz), tether=0.1, free=free, steps=60)
        # The restraints take back part of the displacement; ask for more until the rest is right.
        amount *= size / rms((positions(result) - truth)[judged])
    return result


def handed_over(truths: list[gemmi.Structure], zones: list[NDArray[np.bool_]], seed: int) -> list[gemmi.Structure]:
    """Structures as a user would have them: dark as refined, intermediates roughly known."""
    rng = np.random.default_rng([seed, 1])
    dark_truth = positions(truths[0])
    everywhere = np.ones(len(dark_truth), dtype=bool)
    field = smooth_field(dark_truth, rng, length=1.0)
    dark = disturbed(truths[0], dark_truth, dark_truth, field, free=everywhere, judged=everywhere, size=DARK_ERROR)
    spread = np.exp(0.05 * rng.standard_normal(len(dark_truth)))
    for atom, factor in zip(atoms_of(dark), spread.tolist(), strict=True):
        atom.b_iso = round(atom.b_iso * factor, 2)
    given = [dark]
    for truth, zone in zip(truths[1:], zones[1:], strict=True):
        # What moves is known roughly; what hardly moves has the errors of the dark structure, and no others.
        move = positions(truth) - dark_truth
        length = np.linalg.norm(move, axis=1)
        rough = smooth_field(dark_truth, rng) * np.minimum(length / MOVED, 1.0)[:, None]
        place, judged = positions(dark) + move, length > MOVED
        light = disturbed(dark, place, positions(truth), rough, free=zone, judged=judged, size=LIGHT_ERROR)
        given.append(light)
    return given
