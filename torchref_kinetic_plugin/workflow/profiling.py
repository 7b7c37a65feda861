"""``profile``: how far each parameter of a refinement can go."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torchref_kinetic_plugin.errors import InputError, UnknownNameError
from torchref_kinetic_plugin.files import output_directory
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.results import ALL_EXPERIMENTS, Profile, ProfileReport
from torchref_kinetic_plugin.workflow.fitted import load_for_analysis

if TYPE_CHECKING:
    from torchref_kinetic_plugin.refinement.estimates import Key, ProviderParameters


def profile(
    path: str | os.PathLike[str],
    parameters: Sequence[str] | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    plugins: PluginManager | None = None,
    overrides: Mapping[str, Any] | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> ProfileReport:
    """Profile likelihoods of a refinement's parameters, written into its output directory.

    The refinement is fitted anew; where its file refines structures, at those that it came to.

    Parameters
    ----------
    path : path
        The refinement file.
    parameters : sequence of str, optional
        Names, as ``"B->C"``, with the kind before them where that matters, as ``"efficiency A->B"``, and the
        experiment before that, as ``"298K: rate_constant B->C"``; by default all that are refined.
    output : path, optional
        Directory that stands in for the file's.
    plugins : PluginManager, optional
        By default the built-in plugins and those installed.
    overrides : mapping, optional
        Keys to values that stand in for those of the file.
    announce : callable
        Told what is being done.

    Raises
    ------
    InputError
        For whatever is wrong with the file; for names that are not of refined parameters.
    """
    from torchref_kinetic_plugin.analysis.profile import profiles
    from torchref_kinetic_plugin.output.resampling_files import write_profiles
    from torchref_kinetic_plugin.refinement.estimates import ProviderParameters

    analysed = load_for_analysis(path, output=output, plugins=plugins, overrides=overrides, announce=announce)
    # Names are looked at before anything takes time.
    keys = _chosen(ProviderParameters(analysed.loaded.build_provider()), parameters)
    with output_directory(analysed.directory):
        run = analysed.fitted(announce)
        assert run.uncertainty is not None
        values = ProviderParameters(run.provider)
        estimates = {
            (each.experiment, each.kind, each.name): each for each in values.estimates(run.uncertainty, values.values())
        }

        def tell(done: Profile) -> None:
            announce(f"profile of the {done.kind.replace('_', ' ')} of {done.name}")

        found = profiles(run.models, run.provider, keys=keys, refine_scale=analysed.refine_scale, on_profile=tell)
        report = ProfileReport(
            analysed.loaded.file.title, tuple(found), tuple(estimates[key] for key in keys), analysed.remarks
        )
        write_profiles(analysed.directory, report)
    return report


def _chosen(parameters: ProviderParameters, names: Sequence[str] | None) -> list[Key]:
    """Keys of refined parameters by the names that a user gives them."""
    refined = list(parameters.slopes())
    if not refined:
        raise InputError("nothing to profile: no parameter of the occupancies is refined")
    if names is None:
        return refined
    found: dict[Key, None] = {}
    for name in names:
        own = [key for key in refined if _squeezed(name) in _names_of(key)]
        if not own:
            if any(_squeezed(name) in _names_of(key) for key in parameters.values()):
                raise InputError(f"{name!r} is not refined; refined: {', '.join(map(_label, refined))}")
            raise UnknownNameError(
                "parameter", name, [*dict.fromkeys(key[2] for key in refined), *map(_label, refined)]
            )
        found |= dict.fromkeys(own)
    return list(found)


def _label(key: Key) -> str:
    return f"{key[1]} {key[2]}" if key[0] == ALL_EXPERIMENTS else f"{key[0]}: {key[1]} {key[2]}"


def _names_of(key: Key) -> set[str]:
    experiment, kind, name = key
    own = {name, f"{kind} {name}"}
    return {_squeezed(each) for each in own | {f"{experiment}: {each}" for each in own}}


def _squeezed(name: str) -> str:
    """A name without blanks and underscores, which users put or leave."""
    return "".join(name.split()).replace("_", "")
