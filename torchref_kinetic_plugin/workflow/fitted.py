"""A refinement as analyses need it: read, prepared, fitted; with refined structures where the file refines them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.files import sha256
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.structures import AtomicStructure, ParameterMap, StructureReport, StructureSet, load_files
from torchref_kinetic_plugin.structures.placing import moved
from torchref_kinetic_plugin.workflow.joint_forms import forms_of
from torchref_kinetic_plugin.workflow.loaded import LoadedExperiment, LoadedRefinement, input_files
from torchref_kinetic_plugin.workflow.loading import load_refinement, loading_options
from torchref_kinetic_plugin.workflow.refining import Refinement, prepare

Announce = Callable[[str], None]


@final
@dataclass(frozen=True, eq=False)
class AnalysedRefinement:
    """A refinement file with what it names, ready to be prepared.

    Attributes
    ----------
    loaded : LoadedRefinement
        With refined structures, where the file refines them.
    remarks : tuple of str
        What a user has to know, in words.
    files : tuple of path
        All that it was read from.
    """

    loaded: LoadedRefinement
    remarks: tuple[str, ...]
    files: tuple[Path, ...]

    @property
    def directory(self) -> Path:
        """Where results are written."""
        return self.loaded.file.output.directory

    @property
    def refine_scale(self) -> bool:
        """Whether the file refines scales."""
        return "scale" in self.loaded.file.refinement.refine

    def fingerprint(self) -> str:
        """Digests of all files, as one text; it changes with any of them."""
        return " ".join(sha256(path) for path in self.files)

    def fitted(self, announce: Announce = lambda _: None) -> Refinement:
        """The refinement after the fit that `refine` makes, with standard errors."""
        from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
        from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty

        run = prepare(self.loaded, on_progress=lambda progress: announce(progress.stage))
        settings = self.loaded.file.refinement
        announce("fit")
        fit = fit_kinetics(
            run.models, run.provider, n_starts=settings.starts, seed=settings.seed, refine_scale=self.refine_scale
        )
        return replace(run, fit=fit, uncertainty=estimate_uncertainty(run.models, run.provider))


def load_for_analysis(
    path: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    plugins: PluginManager | None = None,
    overrides: Mapping[str, Any] | None = None,
    announce: Announce = lambda _: None,
) -> AnalysedRefinement:
    """Read a refinement file and what it names, structures as refined where it refines them.

    Parameters
    ----------
    path : path
        The refinement file.
    output : path, optional
        Directory that stands in for the file's.
    plugins : PluginManager, optional
        By default the built-in plugins and those installed.
    overrides : mapping, optional
        Keys to values that stand in for those of the file.
    announce : callable
        Told what is being read.

    Raises
    ------
    InputError
        For whatever is wrong with the file; where it refines no kinetics; where refined structures are missing.
    """
    if output is not None:
        overrides = {**(overrides or {}), "output.directory": str(Path(output).absolute())}
    loaded = load_refinement(path, plugins=plugins, overrides=overrides, announce=announce)
    if "kinetics" not in loaded.file.refinement.refine:
        raise InputError('nothing to analyse: refine in [refinement] has no "kinetics"')
    files = [loaded.file.path, *input_files(loaded.file)]
    if "structures" not in loaded.file.refinement.refine:
        return AnalysedRefinement(loaded, (), tuple(files))
    announce("reading refined structures")
    return _with_refined_structures(loaded, files)


def _with_refined_structures(loaded: LoadedRefinement, files: list[Path]) -> AnalysedRefinement:
    directory = loaded.file.output.directory
    result = directory / "result.json"
    if not result.is_file():
        raise InputError(
            f"no refined structures: {str(result)!r} does not exist. The file refines structures, so refine it first: "
            f"torchref.kinetic refine {loaded.file.path}"
        )
    digests = json.loads(result.read_text(encoding="utf-8"))["inputs"]
    known = [path for path in input_files(loaded.file) if str(path) in digests]
    if changed := [path.name for path in known if digests[str(path)] != sha256(path)]:
        raise InputError(f"{', '.join(changed)} changed since the structures in {str(directory)!r} were refined")
    forms = forms_of(loaded)
    experiments = list(loaded.experiments)
    for numbers in forms:
        prefix = f"{loaded.experiments[numbers[0]].settings.name}_" if len(forms) > 1 else ""
        named = {name: directory / "structures" / f"{prefix}{name}.cif" for name in loaded.structures.names}
        files += named.values()
        structures = load_files(named, loading_options(loaded.file.structures, needed=False)).structures
        for number in numbers:
            experiments[number] = _at(experiments[number], structures)
    remark = (
        f"structures are those refined in {str(directory / 'structures')!r}, held as they are: intervals do not "
        "contain what their freedom leaves open, those of the refinement do"
    )
    return AnalysedRefinement(replace(loaded, experiments=tuple(experiments)), (remark,), tuple(files))


def _at(experiment: LoadedExperiment, structures: tuple[AtomicStructure, ...]) -> LoadedExperiment:
    """An experiment with structures of its crystal form, at the same fractions of its own cell, as they were there."""
    cell = experiment.grid.cell
    own = []
    for structure in structures:
        between = np.array(cell.orth.mat.tolist()) @ np.array(structure.cell.frac.mat.tolist())
        same = np.allclose(between, np.eye(3), atol=1e-9)
        own.append(structure if same else moved(structure, between, np.zeros(3), cell))
    return replace(experiment, structures=StructureSet(tuple(own), ParameterMap.by_identity(own), StructureReport()))
