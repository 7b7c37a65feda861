from __future__ import annotations

import gemmi
import numpy as np
import pytest

from torchref_kinetic_plugin.simulation import IntensityNoise, ScalingSpread, SimulatedSeries, simulate_series

CELL = (19.0, 22.0, 25.0, 90.0, 90.0, 90.0)


def crystal(
    seed: int, *, atoms: int = 30, shift: float = 0.0, name: str = "dark", cell: tuple[float, ...] = CELL
) -> gemmi.Structure:
    """Random atoms in P 21 21 21; the first five displaced by ``shift``."""
    rng = np.random.default_rng(seed)
    structure = gemmi.Structure()
    structure.name = name
    structure.cell = gemmi.UnitCell(*cell)
    structure.spacegroup_hm = "P 21 21 21"
    residue = gemmi.Residue()
    residue.name = "UNK"
    for number in range(atoms):
        atom = gemmi.Atom()
        atom.name = "C"
        atom.element = gemmi.Element(("C", "N", "O", "S")[number % 4])
        place = structure.cell.orthogonalize(gemmi.Fractional(*(rng.random(3) * 0.5).tolist()))
        atom.pos = place + gemmi.Position(shift * (number < 5), 0.0, 0.0)
        atom.b_iso = float(rng.uniform(8.0, 25.0))
        residue.add_atom(atom)
    chain = gemmi.Chain("A")
    chain.add_residue(residue)
    model = gemmi.Model(1)
    model.add_chain(chain)
    structure.add_model(model)
    structure.setup_cell_images()
    return structure


@pytest.fixture(scope="session")
def structures() -> list[gemmi.Structure]:
    return [crystal(1), crystal(1, shift=0.8, name="light")]


#: A reference and three delays.
OCCUPANCIES = np.array([[1.0, 0.6, 0.75, 0.9], [0.0, 0.4, 0.25, 0.1]])
SETTINGS = {"names": ["dark", "t1", "t2", "t3"], "times": [None, 1e-8, 1e-6, float("inf")], "d_min": 1.5}


def simulate(structures: list[gemmi.Structure], **changes: object) -> SimulatedSeries:
    settings: dict[str, object] = {
        **SETTINGS,
        "seed": 3,
        "noise": IntensityNoise(),
        "scaling": ScalingSpread(scale=3.0),
        **changes,
    }
    return simulate_series(structures, OCCUPANCIES, **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def series(structures: list[gemmi.Structure]) -> SimulatedSeries:
    return simulate(structures)
