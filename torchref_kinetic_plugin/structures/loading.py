"""Three layouts of model files to one set of structures."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, final

import gemmi

from torchref_kinetic_plugin.errors import FileError, InputError
from torchref_kinetic_plugin.structures.agreement import AgreementTolerance, agreement_findings
from torchref_kinetic_plugin.structures.altlocs import altloc_findings, checked_table, extract
from torchref_kinetic_plugin.structures.checks import own_findings
from torchref_kinetic_plugin.structures.parameter_map import ParameterMap, SharingTolerance
from torchref_kinetic_plugin.structures.reading import ModelFile, read_model_file
from torchref_kinetic_plugin.structures.report import (
    Finding,
    Severity,
    StructureReport,
    note,
    raise_errors,
    some_of,
    warning,
)
from torchref_kinetic_plugin.structures.restraints import restraint_findings
from torchref_kinetic_plugin.structures.structure import AtomicStructure
from torchref_kinetic_plugin.structures.structure_set import StructureSet

FilePath = str | os.PathLike[str]


@final
@dataclass(frozen=True)
class LoadingOptions:
    """What structures are checked against.

    Attributes
    ----------
    restraints : sequence of path
        Restraint CIF files.
    known_residues : collection of str
        Residues with restraints of their own besides the standard ones, e.g. those TorchRef has.
    restraints_needed : bool
        Whether a residue without restraints is an error; a warning where no coordinates are refined.
    agreement : AgreementTolerance
        How far structures may be from each other.
    sharing : SharingTolerance
        How close an atom must be in two structures to be one set of parameters.
    """

    restraints: Sequence[FilePath] = ()
    known_residues: Collection[str] = ()
    restraints_needed: bool = False
    agreement: AgreementTolerance = field(default_factory=AgreementTolerance)
    sharing: SharingTolerance = field(default_factory=SharingTolerance)


class _Part(NamedTuple):
    """A structure before it is checked: one model."""

    name: str
    source: str
    structure: gemmi.Structure


def load_files(files: Mapping[str, FilePath], options: LoadingOptions | None = None) -> StructureSet:
    """Load one file per structure.

    Parameters
    ----------
    files : mapping
        Structure -> PDB or mmCIF file, gzipped or not. The first one is what the others are compared with.
    options : LoadingOptions, optional
        Restraints and tolerances.

    Raises
    ------
    FileError
        For files that are missing, damaged, or hold several models; one line each.
    InputError
        For all that is wrong with the structures; one line each.
    """
    if not files:
        raise InputError("no structures; name at least one, with its file")
    parts, remarks, unreadable = [], [], []
    for name, path in files.items():
        try:
            file = read_model_file(path)
            count = len(file.structure)
            if count != 1:
                raise FileError(
                    f"{file.source!r} holds {count} models; one is wanted where each structure has its file, "
                    "or name the structure of each with 'models'"
                )
        except FileError as problem:
            unreadable.append(f"{name}: {problem}")
            continue
        parts.append(_Part(name, file.source, file.structure))
        remarks += _remarks(name, file)
    if unreadable:
        raise FileError("\n".join(unreadable))
    return _assemble(parts, remarks, options)


def load_models(
    path: FilePath, models: Sequence[str] | Mapping[str, int], options: LoadingOptions | None = None
) -> StructureSet:
    """Load one file with a MODEL per structure.

    Parameters
    ----------
    path : path
        PDB or mmCIF file, gzipped or not.
    models : sequence of str or mapping
        Names of all models in their order, or structure -> model number as the file has it.
    options : LoadingOptions, optional
        Restraints and tolerances.

    Raises
    ------
    FileError
        For a file that is missing or damaged.
    InputError
        For names that do not fit the models, and all that is wrong with the structures.
    """
    file = read_model_file(path)
    numbers = [model.num for model in file.structure]
    remarks = _remarks(file.source, file)
    if isinstance(models, Mapping):
        chosen = dict(models)
        if not chosen:
            raise InputError("no structures; name at least one, with the number of its model")
        for name, number in chosen.items():
            if number not in numbers:
                allowed = ", ".join(map(str, numbers))
                raise InputError(f"{file.source!r} has no model {number!r} for {name!r}; allowed: {allowed}")
        if unused := [number for number in numbers if number not in chosen.values()]:
            remarks.append(note(file.source, f"models not used: {some_of(unused)}"))
    else:
        if isinstance(models, str):
            raise InputError(f"models is a list of names; write [{models!r}]")
        if len(models) != len(numbers):
            raise InputError(
                f"{file.source!r} holds {len(numbers)} models, {len(models)} are named: {', '.join(models)}; "
                "name all in their order, or choose by number, e.g. {dark = 1, I1 = 3}"
            )
        if len(set(models)) < len(models):
            raise InputError(f"models names a structure twice: {', '.join(models)}")
        chosen = dict(zip(models, numbers, strict=True))
    parts = [
        _Part(name, f"{file.source} model {number}", _one_model(file.structure, numbers.index(number)))
        for name, number in chosen.items()
    ]
    return _assemble(parts, remarks, options)


def load_altlocs(
    path: FilePath, altlocs: Mapping[str, str | Sequence[str]], options: LoadingOptions | None = None
) -> StructureSet:
    """Load one file whose alternative conformations make the structures.

    Atoms without altloc belong to all structures. A structure of several altlocs keeps them as disorder,
    their occupancies divided by their sum.

    Parameters
    ----------
    path : path
        PDB or mmCIF file, gzipped or not, with one model.
    altlocs : mapping
        Structure -> altloc or list of altlocs. An altloc may belong to several structures, and each of
        the file must belong to one.
    options : LoadingOptions, optional
        Restraints and tolerances.

    Raises
    ------
    FileError
        For a file that is missing, damaged, or holds several models.
    InputError
        For a table that does not fit the file, and all that is wrong with the structures.
    """
    table = checked_table(altlocs)
    file = read_model_file(path)
    if len(file.structure) != 1:
        count = len(file.structure)
        raise FileError(f"{file.source!r} holds {count} models; one is wanted where altlocs tell them apart")
    raise_errors(
        [
            *own_findings(file.source, file.structure),
            *altloc_findings(file.source, file.structure, table),
        ]
    )
    parts = []
    for name, letters in table.items():
        source = f"{file.source} altloc {', '.join(letters)}"
        parts.append(_Part(name, source, extract(file.structure, letters)))
    return _assemble(parts, _remarks(file.source, file), options)


def gathered(
    structures: Sequence[AtomicStructure], found: Sequence[Finding] = (), options: LoadingOptions | None = None
) -> StructureSet:
    """Structures from several sources as one set, checked together.

    Parameters
    ----------
    structures : sequence of AtomicStructure
        Of one crystal; the first one is what the others are compared with.
    found : sequence of Finding
        What was found before; what is found again is not repeated.
    options : LoadingOptions, optional
        Restraints and tolerances.

    Raises
    ------
    InputError
        For all that is wrong with the structures; one line each.
    """
    options = LoadingOptions() if options is None else options
    findings = [*found, *agreement_findings(structures, options.agreement)]
    raise_errors(findings)
    parameters = ParameterMap.by_identity(structures, options.sharing)
    return StructureSet(tuple(structures), parameters, StructureReport(tuple(dict.fromkeys(findings))))


def _one_model(structure: gemmi.Structure, index: int) -> gemmi.Structure:
    copy = structure.clone()
    for number in reversed(range(len(copy))):
        if number != index:
            del copy[number]
    copy.renumber_models()
    return copy


def _remarks(name: str, file: ModelFile) -> list[Finding]:
    return [warning(name, remark) for remark in file.remarks]


def _assemble(parts: list[_Part], remarks: list[Finding], options: LoadingOptions | None) -> StructureSet:
    """Check the structures, each and together, and raise everything that is wrong at once."""
    options = LoadingOptions() if options is None else options
    found = list(remarks)
    for part in parts:
        found += [_with_source(finding, part) for finding in own_findings(part.name, part.structure)]
    raise_errors(found)
    structures = [AtomicStructure.from_gemmi(part.structure, part.name, part.source) for part in parts]
    found += agreement_findings(structures, options.agreement)
    found += restraint_findings(
        structures, options.restraints, options.known_residues, needed=options.restraints_needed
    )
    raise_errors(found)
    parameters = ParameterMap.by_identity(structures, options.sharing)
    return StructureSet(tuple(structures), parameters, StructureReport(tuple(found)))


def _with_source(finding: Finding, part: _Part) -> Finding:
    """An error is read without the report beside it, so it names the file."""
    if finding.severity is not Severity.ERROR:
        return finding
    return replace(finding, structure=f"{part.name} ({part.source})")
