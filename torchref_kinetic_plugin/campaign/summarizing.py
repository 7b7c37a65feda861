"""The runs of a campaign beside each other, from what they have left in their directories."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from torchref_kinetic_plugin.campaign.orders import OUTPUT
from torchref_kinetic_plugin.campaign.planning import Plan, PlannedRun
from torchref_kinetic_plugin.campaign.record import Record, read_record
from torchref_kinetic_plugin.output.report.agreement import last_statistics
from torchref_kinetic_plugin.results import (
    BootstrapEstimate,
    CampaignFailure,
    CampaignResult,
    CampaignRun,
    RefinementResult,
    RunOutcome,
    read_result,
)
from torchref_kinetic_plugin.structures.report import counted
from torchref_kinetic_plugin.workflow.assembling import versions


def summarize(plan: Plan, directory_of: Callable[[PlannedRun], Path]) -> CampaignResult:
    """What the runs of a plan led to so far.

    Parameters
    ----------
    plan : Plan
        The campaign.
    directory_of : callable
        Where a run lies.

    Raises
    ------
    FileError
        When a file of a finished run cannot be read.
    """
    runs: list[CampaignRun] = []
    failures: list[CampaignFailure] = []
    for planned in plan.runs:
        directory = directory_of(planned)
        numbers = range(plan.file.bootstraps + 1)
        known = [read_record(directory, planned.address, number) for number in numbers]
        records = [record for record in known if record is not None]
        failures += [
            CampaignFailure(planned.number, planned.row.text, record.draw, record.error, record.trace)
            for record in records
            if not record.done
        ]
        runs.append(_run(planned, directory, plan.directory, known[0], [each for each in records if each.draw]))
    return CampaignResult(
        plan.file.title,
        plan.axes,
        tuple(runs),
        tuple(failures),
        plan.file.bootstraps,
        tuple(_remarks(runs, failures)),
        versions(),
        dict(sorted({file: digest for run in plan.runs for file, digest in run.inputs}.items())),
    )


def _run(
    planned: PlannedRun, directory: Path, campaign: Path, record: Record | None, draws: list[Record]
) -> CampaignRun:
    outcome = None
    if record is not None and record.done:
        outcome = _outcome(read_result(directory / OUTPUT / "result.json"), [each for each in draws if each.done])
    return CampaignRun(
        planned.number,
        planned.row.text,
        directory.relative_to(campaign).as_posix(),
        planned.address,
        planned.row.labels,
        "waiting" if record is None else record.status,
        math.nan if record is None else record.seconds,
        outcome,
    )


def _outcome(result: RefinementResult, draws: list[Record]) -> RunOutcome:
    r_work, r_free, correlation = last_statistics(result)
    last = result.steps[-1] if result.steps else None
    return RunOutcome(
        converged=result.converged,
        n_observations_work=result.n_observations_work,
        n_observations_free=result.n_observations_free,
        n_parameters=result.n_parameters,
        r_work=r_work,
        r_free=r_free,
        cc_diff_free=correlation,
        log_likelihood_work=math.nan if last is None else last.log_likelihood_work,
        log_likelihood_free=math.nan if last is None else last.log_likelihood_free,
        parameters=result.parameters,
        draws=_spread(result, draws),
        n_draws=len(draws),
        remarks=result.remarks,
    )


def _spread(result: RefinementResult, draws: list[Record]) -> tuple[BootstrapEstimate, ...]:
    if len(draws) < 2:
        return ()
    from torchref_kinetic_plugin.analysis.bootstrap import bootstrap_estimates

    values = [{(each.experiment, each.kind, each.name): each.value for each in draw.values} for draw in draws]
    return tuple(bootstrap_estimates(result.parameters, values))


def _remarks(runs: list[CampaignRun], failures: list[CampaignFailure]) -> list[str]:
    found = []
    if waiting := [run for run in runs if run.status == "waiting"]:
        found.append(f"{counted(len(waiting), 'run')} not computed yet: the same command goes on with the rest")
    if failed := sum(failure.draw == 0 for failure in failures):
        found.append(f"{counted(failed, 'run')} failed; the errors are listed, and --retry computes these again")
    if lost := sum(failure.draw != 0 for failure in failures):
        found.append(f"{counted(lost, 'draw')} failed; spreads are over the others")
    outcomes = [run.outcome for run in runs if run.outcome is not None]
    if open_ := [str(run.number) for run in runs if run.outcome is not None and not run.outcome.converged]:
        found.append(f"not converged: {'run' if len(open_) == 1 else 'runs'} {', '.join(open_)}")
    if len({outcome.n_observations_free for outcome in outcomes}) > 1:
        found.append(
            "runs have different free observations: R-free and log-likelihood can be compared between those alone that "
            "have the same"
        )
    return found
