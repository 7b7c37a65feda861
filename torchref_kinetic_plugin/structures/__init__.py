"""Model files to named structures: reading, checks, the map from atoms to parameters, writing; no torch."""

from torchref_kinetic_plugin.structures.agreement import AgreementTolerance
from torchref_kinetic_plugin.structures.atoms import AtomKey, AtomTable, ResidueKey, SiteKey
from torchref_kinetic_plugin.structures.differences import ResidueDifference, residue_differences
from torchref_kinetic_plugin.structures.loading import LoadingOptions, gathered, load_altlocs, load_files, load_models
from torchref_kinetic_plugin.structures.parameter_map import ParameterMap, SharingTolerance
from torchref_kinetic_plugin.structures.polar import PolarShift, polar_shift, superpose_along_polar_axis
from torchref_kinetic_plugin.structures.report import Finding, Severity, StructureReport
from torchref_kinetic_plugin.structures.structure import AtomicStructure
from torchref_kinetic_plugin.structures.structure_set import StructureSet
from torchref_kinetic_plugin.structures.writing import write_models, write_structure

__all__ = [
    "AgreementTolerance",
    "AtomKey",
    "AtomTable",
    "AtomicStructure",
    "Finding",
    "LoadingOptions",
    "ParameterMap",
    "PolarShift",
    "ResidueDifference",
    "ResidueKey",
    "Severity",
    "SharingTolerance",
    "SiteKey",
    "StructureReport",
    "StructureSet",
    "gathered",
    "load_altlocs",
    "load_files",
    "load_models",
    "polar_shift",
    "residue_differences",
    "superpose_along_polar_axis",
    "write_models",
    "write_structure",
]
