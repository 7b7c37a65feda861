"""The deposition file: structures, scheme, rates, occupancies and datasets as one IHM mmCIF.

Written with python-ihm (Vallat et al., J. Mol. Biol. 433, 167013, 2021, for the dictionary); what the dictionary takes
from PDBx/mmCIF and python-ihm has no class for is added with gemmi.
"""

from torchref_kinetic_plugin.output.deposition.contents import (
    DepositedCrystal,
    DepositedDataset,
    DepositedExperiment,
    DepositedScheme,
    Deposition,
)
from torchref_kinetic_plugin.output.deposition.details import read_details
from torchref_kinetic_plugin.output.deposition.writing import write_deposition

__all__ = [
    "DepositedCrystal",
    "DepositedDataset",
    "DepositedExperiment",
    "DepositedScheme",
    "Deposition",
    "read_details",
    "write_deposition",
]
