"""``compare``: several schemes on the same data, ranked by what each says of timepoints left out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.files import output_directory, sha256
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.plugins.alternative_schemes import alternative_section, structures_of
from torchref_kinetic_plugin.results import SchemeComparison
from torchref_kinetic_plugin.scheme import parse_flow_chart
from torchref_kinetic_plugin.workflow.assembling import versions
from torchref_kinetic_plugin.workflow.loaded import LoadedRefinement
from torchref_kinetic_plugin.workflow.loading import load_refinement
from torchref_kinetic_plugin.workflow.refining import Progress, prepare, require_device
from torchref_kinetic_plugin.workflow.same_data import require_same_data


def compare(
    *paths: str | os.PathLike[str],
    schemes: Sequence[str] = (),
    output: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    plugins: PluginManager | None = None,
    overrides: Mapping[str, Any] | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> SchemeComparison:
    """Fit several schemes to the same data and say which of them the data prefer.

    Structures are as given. The schemes are those of the files, of the files' ``schemes``, and, for one file alone,
    those given here; of one file each is what `alternative_section` makes of its section.

    Parameters
    ----------
    *paths : path
        Refinement files of the same data.
    schemes : sequence of str
        Flow charts, beside the file's own.
    output : path, optional
        Directory for ``comparison.csv`` and ``comparison.json``.
    device, plugins, overrides, on_progress
        As of `refine`.

    Returns
    -------
    SchemeComparison

    Raises
    ------
    InputError
        For whatever is wrong with the files, files of different data, one scheme alone, or a scheme that predicts no
        timepoint.
    """
    from torchref_kinetic_plugin.output.comparison_tables import write_comparison

    begun = time.perf_counter()
    if schemes and len(paths) != 1:
        raise InputError("schemes given beside the files are for one file; write them into the files' schemes = [...]")
    require_device(device)
    manager = PluginManager() if plugins is None else plugins
    loaded = [
        load_refinement(path, plugins=manager, overrides=overrides, announce=lambda text: on_progress(Progress(text)))
        for path in paths
    ]
    inputs: dict[str, str] = {}
    for each in loaded:
        inputs |= {str(each.file.path): sha256(each.file.path), **each.inputs}
    for each in loaded[1:]:
        require_same_data(loaded[0], each)
    named = _candidates(loaded, schemes)
    with nullcontext() if output is None else output_directory(output):
        found = _compared(loaded, named, inputs, begun, device, on_progress)
        if output is not None:
            write_comparison(Path(output), found)
    return found


def _compared(
    loaded: Sequence[LoadedRefinement],
    named: Mapping[str, LoadedRefinement],
    inputs: Mapping[str, str],
    begun: float,
    device: str,
    on_progress: Callable[[Progress], None],
) -> SchemeComparison:
    from torchref_kinetic_plugin.analysis.nested_schemes import likelihood_ratios
    from torchref_kinetic_plugin.analysis.scheme_choice import (
        Entry,
        choice_remarks,
        fit_candidates,
        held_out_timepoints,
        ranked,
    )

    entries = []
    for name, each in named.items():
        run = prepare(each, device=device, on_progress=on_progress)
        settings = each.file.refinement
        entries.append(
            Entry(name, run.models, run.provider, settings.starts, settings.seed, "scale" in settings.refine)
        )
    candidates = fit_candidates(entries, lambda text: on_progress(Progress(text)))
    compared = ranked(candidates)
    timepoints = held_out_timepoints(candidates)
    remarks = choice_remarks(compared)
    remarks += [f"{each.name}: {remark}" for each in candidates for remark in each.remarks]
    if any("structures" in each.file.refinement.refine for each in loaded):
        remarks.append("structures were taken as given; to compare schemes at refined ones name those in the files")
    return SchemeComparison(
        loaded[0].file.title,
        tuple(compared),
        tuple(likelihood_ratios(candidates)),
        len(timepoints),
        tuple(remarks),
        dict(inputs),
        versions(),
        time.perf_counter() - begun,
    )


def _candidates(loaded: Sequence[LoadedRefinement], schemes: Sequence[str]) -> dict[str, LoadedRefinement]:
    """Each scheme of each file under a name of its own: the file, the flow chart, or both.

    Raises
    ------
    InputError
        For fewer than two, a provider without a scheme to replace, or occupancies that are not refined.
    """
    found: dict[str, LoadedRefinement] = {}
    for each in loaded:
        if "kinetics" not in each.file.refinement.refine:
            raise InputError(f'{str(each.file.path)!r}: refine lacks "kinetics", so that no scheme is fitted')
        own = {_plain(text): text for text in (*each.file.schemes, *schemes)}
        if each.file.refinement.occupancy != "kinetics":
            if own:
                raise InputError(
                    f"{str(each.file.path)!r}: schemes stand in for that of [kinetics], and occupancy is "
                    f"{each.file.refinement.occupancy!r}"
                )
            found[_file_name(each, loaded)] = each
            continue
        charts = {_plain(chart): chart for chart in (each.file.provider_section["scheme"], *own.values())}
        for text, chart in charts.items():
            file = _file_name(each, loaded)
            name = text if len(loaded) == 1 else file if len(charts) == 1 else f"{file}: {text}"
            found[name] = _with_scheme(each, chart)
    if len(found) < 2:
        raise InputError(
            "there is one scheme alone; name several files, give --scheme, or write schemes = [...] into the file"
        )
    return found


def _with_scheme(loaded: LoadedRefinement, scheme: str) -> LoadedRefinement:
    """The same refinement with another scheme, and the structures that its states have."""
    section = alternative_section(loaded.file.provider_section, scheme)
    used = structures_of(section)
    names = [name for name in loaded.structures.names if name in used]
    return replace(
        loaded,
        settings=loaded.plugins.provider("kinetics").read_settings(section),
        file=loaded.file.model_copy(update={"provider_section": section}),
        structures=loaded.structures.only(names),
        experiments=tuple(replace(each, structures=each.structures.only(names)) for each in loaded.experiments),
    )


def _plain(scheme: str) -> str:
    return parse_flow_chart(scheme).text


def _file_name(loaded: LoadedRefinement, others: Sequence[LoadedRefinement]) -> str:
    """The file's name, or its whole path where another has the same."""
    path = loaded.file.path
    same = [each for each in others if each.file.path.name == path.name]
    return path.name if len(same) == 1 else str(path)
