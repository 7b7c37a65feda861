"""Structures of one crystal form at several temperatures, from those at one of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from example_data.structures import (
    MOVED,
    StructureRecipe,
    atoms_of,
    disturbed,
    handed_over,
    positions,
    regularised,
    rms,
    smooth_field,
    true_structures,
    with_positions,
)

#: How far dark structures of two temperatures differ beside the expansion, root mean square, in angstrom.
DARK_CHANGE = 0.04

Zones = Sequence[NDArray[np.bool_]]


@dataclass(frozen=True)
class Expansion:
    """How the crystal changes with temperature.

    Attributes
    ----------
    at : float
        Temperature of the source, K.
    lengths : tuple of float
        Relative growth of each axis per K.
    b_factor : float
        Growth of all B factors per K, in square angstrom.
    """

    at: float
    lengths: tuple[float, float, float]
    b_factor: float

    def cell(self, cell: gemmi.UnitCell, temperature: float) -> gemmi.UnitCell:
        """The cell at a temperature; its angles stay."""
        growth = 1.0 + np.array(self.lengths) * (temperature - self.at)
        axes = (np.array(cell.parameters[:3]) * growth).round(3).tolist()
        return gemmi.UnitCell(*axes, *cell.parameters[3:])

    def applied(self, structure: gemmi.Structure, temperature: float) -> gemmi.Structure:
        """A structure at a temperature: each molecule rigid, its centre at the same fractional place."""
        cell = self.cell(structure.cell, temperature)
        xyz, numbers = positions(structure), _molecules(structure)
        for number in range(numbers.max() + 1):
            body = numbers == number
            centre = structure.cell.fractionalize(gemmi.Position(*xyz[body].mean(axis=0).tolist()))
            xyz[body] += np.array((cell.orthogonalize(centre) - structure.cell.orthogonalize(centre)).tolist())
        moved = with_positions(structure, xyz)
        moved.cell = cell
        moved.setup_cell_images()
        for atom in atoms_of(moved):
            atom.b_iso = round(atom.b_iso + self.b_factor * (temperature - self.at), 2)
        return moved


@dataclass(frozen=True)
class TemperatureRecipe:
    """What the structures of a series over temperatures are made from.

    Attributes
    ----------
    structures : StructureRecipe
        Those at the temperature of the source.
    expansion : Expansion
        What temperature does to them.
    temperatures : mapping
        Experiment to its temperature, K.
    """

    structures: StructureRecipe
    expansion: Expansion
    temperatures: Mapping[str, float]

    def folder(self, experiment: str, *, truth: bool) -> Path:
        """Where the structures of an experiment are."""
        here = self.structures.directory
        return (here / "truth" if truth else here) / experiment

    def read(self, experiment: str, *, truth: bool) -> dict[str, gemmi.Structure]:
        """The structures of an experiment as they are in their files."""
        folder = self.folder(experiment, truth=truth)
        return {name: gemmi.read_structure(str(folder / file)) for name, file in self.structures.files.items()}

    def write(self) -> None:
        """Make all structures and write their files."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            truths, zones = true_structures(self.structures)
            given = handed_over(truths, zones, self.structures.seed)
            for number, (experiment, temperature) in enumerate(self.temperatures.items(), start=1):
                seed = self.structures.seed + number
                print(f"{experiment}:")
                here, ours = truths, given
                if temperature != self.expansion.at:
                    here = self._true(truths, zones, temperature, np.random.default_rng([seed, 2]))
                    ours = _given(here[0], given, zones, seed)
                for truth, structures in ((True, here), (False, ours)):
                    folder = self.folder(experiment, truth=truth)
                    folder.mkdir(parents=True, exist_ok=True)
                    for file, structure in zip(self.structures.files.values(), structures, strict=True):
                        structure.write_pdb(str(folder / file))

    def _true(
        self, truths: Sequence[gemmi.Structure], zones: Zones, temperature: float, rng: np.random.Generator
    ) -> list[gemmi.Structure]:
        """True structures at a temperature: dark changed a little, the same motions from there."""
        placed = self.expansion.applied(truths[0], temperature)
        origin = positions(placed)
        everywhere = np.ones(len(origin), dtype=bool)
        field = smooth_field(origin, rng)
        dark = disturbed(placed, origin, origin, field, free=everywhere, judged=everywhere, size=DARK_CHANGE)
        lights = []
        for truth, zone in zip(truths[1:], zones[1:], strict=True):
            moved = with_positions(dark, positions(dark) + positions(truth) - positions(truths[0]))
            lights.append(regularised(moved, tether=0.1, free=zone, steps=200))
        return [dark, *lights]


def _given(dark: gemmi.Structure, given: Sequence[gemmi.Structure], zones: Zones, seed: int) -> list[gemmi.Structure]:
    """Structures as a user would have them: dark as refined, with the one guess of the motions that there is."""
    (own,) = handed_over([dark], zones[:1], seed)
    guessed = []
    for light, zone in zip(given[1:], zones[1:], strict=True):
        moved = with_positions(own, positions(own) + positions(light) - positions(given[0]))
        guessed.append(regularised(moved, tether=0.1, free=zone, steps=60))
    return [own, *guessed]


def _molecules(structure: gemmi.Structure) -> NDArray[np.int64]:
    """Number of the molecule (n_atoms,) of each atom: the protein is one, and each water."""
    numbers, water = [], 0
    for residue in structure[0][0]:
        water += residue.is_water()
        numbers += [water if residue.is_water() else 0] * len(residue)
    return np.array(numbers)


def report_expansion(recipe: TemperatureRecipe) -> None:
    """Print how far the structures of the temperatures differ, and how far those handed over are off."""
    middle = next(name for name, value in recipe.temperatures.items() if value == recipe.expansion.at)
    reference = recipe.read(middle, truth=True)["dark"]
    for experiment, temperature in recipe.temperatures.items():
        true, own = (recipe.read(experiment, truth=truth) for truth in (True, False))
        dark, user_dark = positions(true["dark"]), positions(own["dark"])
        change = dark - positions(recipe.expansion.applied(reference, temperature))
        mean_b = np.mean([atom.b_iso for atom in atoms_of(true["dark"])])
        print(
            f"{experiment}: cell {true['dark'].cell.parameters[:3]}, {len(dark)} atoms, mean B {mean_b:.1f} A^2; dark "
            f"{rms(change):.3f} A from that of {middle} placed here, handed over {rms(user_dark - dark):.3f} A off"
        )
        for name in recipe.structures.motions:
            move = positions(true[name]) - dark
            length = np.linalg.norm(move, axis=1)
            moved, zone = length > MOVED, np.linalg.norm(positions(own[name]) - user_dark, axis=1) > 0.0
            off = rms((positions(own[name]) - positions(true[name]))[moved])
            print(
                f"  {name}: {moved.sum()} atoms move over {MOVED} A (r.m.s. {rms(move[moved]):.2f}, largest "
                f"{length.max():.2f} A), {zone.sum()} differ; handed over {off:.3f} A off over those that move"
            )
