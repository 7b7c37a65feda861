"""Validation after a refinement: left-out timepoints, free occupancies, tests of the scheme, null tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torchref_kinetic_plugin.results import FreeOccupancy, LeftOut, NullTest, SchemeTest, Validation

if TYPE_CHECKING:
    from torchref_kinetic_plugin.workflow.refining import Refinement


def validate(run: Refinement, announce: Callable[[str], None]) -> tuple[Validation, list[str]]:
    """What section ``[validation]`` asks for, at the structures of the run, and what a user has to know of it.

    Nothing where the provider refines nothing. Free occupancies have nothing to be left out or tested; the null test
    is theirs too.

    Parameters
    ----------
    run : Refinement
        After the fit; it is left as it is.
    announce : callable
        Told what is being done.
    """
    from torchref_kinetic_plugin.analysis.free_occupancies import free_occupancies
    from torchref_kinetic_plugin.analysis.left_out import predict_left_out
    from torchref_kinetic_plugin.analysis.null_tests import null_tests
    from torchref_kinetic_plugin.analysis.scheme_tests import scheme_remarks, scheme_tests
    from torchref_kinetic_plugin.refinement.estimates import ProviderParameters

    asked, refined = run.loaded.file.validation, run.loaded.file.refinement.refine
    if "kinetics" not in refined or not ProviderParameters(run.provider).n_refined:
        return Validation(), []
    scaled, models, names = "scale" in refined, run.models, run.loaded.structures.names
    many, modelled = len(names) > 1, run.provider.provider != "unrestrained"
    remarks: list[str] = []
    left_out: list[LeftOut] = []
    free: list[FreeOccupancy] = []
    tests: list[SchemeTest] = []
    nulls: list[NullTest] = []
    if asked.leave_out and modelled:
        announce("leaving out each timepoint")
        found = predict_left_out(models, run.provider, refine_scale=scaled)
        left_out = [each.summary for each in found.predictions]
        remarks += found.remarks
    if asked.free_occupancies and modelled and many:
        announce("free occupancies")
        free, said = free_occupancies(models, names, refine_scale=scaled)
        tests = scheme_tests(models, run.provider)
        remarks += [*said, *scheme_remarks(tests)]
    if asked.null_test and many:
        announce("null tests")
        nulls, said = null_tests(models, names, refine_scale=scaled)
        remarks += said
    return Validation(tuple(left_out), tuple(free), tuple(tests), tuple(nulls)), remarks
