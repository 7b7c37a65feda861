"""Make the structures of the photocycle example: the true ones at ideal geometry, and those handed to the user."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
SEED = 20

# The motions. His 68 turns about CA-CB and CB-CG, away from its place on the sheet; the loop between the first two
# strands, residues 6 to 13, then moves along a direction in which it meets nothing.
FLIPPED = 68
FLIP = (-80.0, 30.0)
LOOP = range(6, 14)
SHIFT = np.array([0.97, -0.05, -0.25])

STRUCTURES = ("dark", "I1", "I2")
FILES = dict(zip(STRUCTURES, ("dark.pdb", "i1.pdb", "i2.pdb"), strict=True))

#: Added to the smoothed B factors of the source, in square angstrom.
B_ADDED = 5.0
#: How far the structures handed to the user are off, root mean square, in angstrom.
DARK_ERROR = 0.035
LIGHT_ERROR = 0.20
#: Atoms that move further than this, in angstrom, are those over which the error of an intermediate is stated.
MOVED = 0.2

Array = NDArray[np.float64]


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


def flipped(structure: gemmi.Structure, xyz: Array) -> Array:
    """Coordinates with the side chain turned."""
    names = np.array([atom.name for atom in atoms_of(structure)])
    inside = residue_numbers(structure) == FLIPPED
    at = {name: int(np.flatnonzero(inside & (names == name))[0]) for name in ("CA", "CB", "CG")}
    beyond = inside & ~np.isin(names, ("N", "CA", "C", "O", "CB"))
    xyz = xyz.copy()
    xyz[beyond] = turned(xyz[beyond], xyz[at["CA"]], xyz[at["CB"]], FLIP[0])
    xyz[beyond] = turned(xyz[beyond], xyz[at["CB"]], xyz[at["CG"]], FLIP[1])
    return xyz


def shifted(structure: gemmi.Structure, xyz: Array) -> Array:
    """Coordinates with the loop moved, most in its middle."""
    numbers = residue_numbers(structure)
    size = np.where(
        np.isin(numbers, LOOP),
        np.sin(np.pi * (numbers - LOOP.start + 1) / (len(LOOP) + 1)),
        0.0,
    )
    return xyz + size[:, None] * SHIFT


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


def start() -> gemmi.Structure:
    """Source coordinates at full occupancy, without weak waters and those in the way of the motions."""
    structure = gemmi.read_structure(str(HERE / "source" / "1ubi.pdb"))
    structure.setup_entities()
    raw = positions(structure)
    moved = shifted(structure, flipped(structure, raw))
    changed = np.linalg.norm(moved - raw, axis=1) > 0.0
    blocked = near(structure, moved[changed], 2.7)
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
    path = HERE / ".regularised.pdb"
    structure.write_pdb(str(path))
    try:
        model = Model(verbose=0)
        model.load_pdb(str(path))
    finally:
        path.unlink()
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


def true_structures() -> tuple[list[gemmi.Structure], list[NDArray[np.bool_]]]:
    """Dark and two intermediates at ideal geometry, with the atoms in which each may differ from dark."""
    dark = regularised(start(), tether=0.1, steps=200)
    dark = regularised(dark, tether=0.5)
    structures, zones = [dark], [np.zeros(len(positions(dark)), dtype=bool)]
    first = flipped(dark, positions(dark))
    for raw in (first, shifted(dark, first)):
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


def handed_over(truths: list[gemmi.Structure], zones: list[NDArray[np.bool_]]) -> list[gemmi.Structure]:
    """Structures as a user would have them: dark as refined, intermediates roughly known."""
    rng = np.random.default_rng([SEED, 1])
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


def write_structures() -> None:
    """Write the true structures to ``truth/`` and those handed over beside it."""
    warnings.simplefilter("ignore")
    truths, zones = true_structures()
    (HERE / "truth").mkdir(exist_ok=True)
    for name, structure in zip(STRUCTURES, truths, strict=True):
        structure.write_pdb(str(HERE / "truth" / FILES[name]))
    for name, structure in zip(STRUCTURES, handed_over(truths, zones), strict=True):
        structure.write_pdb(str(HERE / FILES[name]))
