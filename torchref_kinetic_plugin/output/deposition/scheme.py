"""The mechanism of each experiment: states, transitions, rate constants, relaxation times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import ihm.dataset
import ihm.model
import ihm.multi_state_scheme
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from torchref_kinetic_plugin.output.deposition.contents import DepositedExperiment, DepositedScheme, Deposition
from torchref_kinetic_plugin.output.deposition.datasets import condition
from torchref_kinetic_plugin.output.deposition.details import details, number
from torchref_kinetic_plugin.output.deposition.models import Models, kind_of_states
from torchref_kinetic_plugin.results import ALL_EXPERIMENTS, Estimate
from torchref_kinetic_plugin.scheme import Scheme, Step

_Estimates = Mapping[tuple[str, str], Estimate]


def scheme_states(experiment: DepositedExperiment, models: Models) -> ihm.model.StateGroup | None:
    """The kinetic states of an experiment, each with the model of its structure; None without a scheme."""
    if experiment.scheme is None:
        return None
    return ihm.model.StateGroup(
        [
            ihm.model.State(
                [models.new_group(experiment.crystal, structure)],
                type=kind_of_states(experiment),
                name=state,
                details=details(
                    experiment=experiment.name, structure=structure, role=_role(state, experiment.scheme.scheme)
                ),
            )
            for state, structure in _structures(experiment.scheme)
        ]
    )


def multi_state_scheme(
    deposition: Deposition,
    experiment: DepositedExperiment,
    states: Sequence[ihm.model.State],
    datasets: ihm.dataset.DatasetGroup,
) -> ihm.multi_state_scheme.MultiStateScheme:
    """The scheme of an experiment with its rates; errors, efficiencies and all else stand in the details.

    Parameters
    ----------
    deposition : Deposition
        Everything.
    experiment : DepositedExperiment
        One that has a scheme.
    states : sequence of ihm.model.State
        Of `scheme_states`.
    datasets : ihm.dataset.DatasetGroup
        Of the experiment.
    """
    assert experiment.scheme is not None
    scheme = experiment.scheme.scheme
    own = [each for each in deposition.result.parameters if each.experiment == experiment.name]
    shared = [each for each in deposition.result.parameters if each.experiment == ALL_EXPERIMENTS]
    estimates = {(each.kind, each.name): each for each in own}
    written = ihm.multi_state_scheme.MultiStateScheme(
        f"{scheme.chart.text} ({experiment.name})", details=_about(experiment, scheme, [*own, *shared])
    )
    alone = frozenset() if experiment.static else _states_alone(scheme, estimates)
    for step in scheme.steps:
        written.add_connectivity(_connectivity(experiment, step, states, datasets, estimates, alone))
    used = {place for step in scheme.steps for place in (step.source, step.target)}
    for place, state in enumerate(states):
        if place not in used:
            written.add_connectivity(
                ihm.multi_state_scheme.Connectivity(
                    state, details=details(state=state.name, transition="none"), dataset_group=datasets
                )
            )
    for place in sorted(alone):
        leaving = [step for step in scheme.finite_steps if step.source == place]
        if len(leaving) > 1:
            total = math.fsum(estimates["rate_constant", step.name].value for step in leaving)
            written.add_relaxation_time(
                ihm.multi_state_scheme.RelaxationTime(
                    number(1.0 / total), "seconds", details=details(state=states[place].name), dataset_group=datasets
                )
            )
    return written


def _structures(scheme: DepositedScheme) -> list[tuple[str, str]]:
    return [(state, scheme.structure_of[state]) for state in scheme.scheme.states]


def _role(state: str, scheme: Scheme) -> str | None:
    if state == scheme.initial:
        return "initial"
    return f"inert copy of {scheme.initial}" if state == scheme.inactive else None


def _about(experiment: DepositedExperiment, scheme: Scheme, estimates: Sequence[Estimate]) -> str:
    """Condition, trigger, and the parameters that belong to no transition of this experiment alone."""
    others = {
        f"{each.kind}[{each.name}]": _with_error(each)
        for each in estimates
        if each.experiment == ALL_EXPERIMENTS or each.kind in {"activation", "response", "saturation_energy"}
    }
    return "; ".join(
        text
        for text in (
            condition(experiment),
            details(light_activated="yes" if scheme.light_activated else "no", initial_state=scheme.initial),
            details(**others),
        )
        if text
    )


def _with_error(estimate: Estimate) -> str:
    text = f"{number(estimate.value)} {estimate.unit}".strip()
    return text if estimate.std_error is None else f"{text} (standard error {number(estimate.std_error)})"


def _connectivity(
    experiment: DepositedExperiment,
    step: Step,
    states: Sequence[ihm.model.State],
    datasets: ihm.dataset.DatasetGroup,
    estimates: _Estimates,
    alone: frozenset[int],
) -> ihm.multi_state_scheme.Connectivity:
    assert experiment.scheme is not None
    scheme = experiment.scheme.scheme
    efficiency = estimates["efficiency", step.name]
    impulsive = step.name in scheme.impulsive
    failing = efficiency.value != 1.0 or efficiency.refined
    about = details(
        transition=step.name,
        rate="inf" if impulsive else None,
        meaning="impulse at time zero" if impulsive else None,
        efficiency=efficiency.value,
        efficiency_std_error=efficiency.std_error,
        efficiency_lower=efficiency.lower,
        efficiency_upper=efficiency.upper,
        remainder=states[step.ground].name if failing else None,
    )
    written = ihm.multi_state_scheme.Connectivity(
        states[step.source], states[step.target], details=about, dataset_group=datasets
    )
    if impulsive:
        return written
    rate = estimates["rate_constant", step.name]
    written.kinetic_rate = ihm.multi_state_scheme.KineticRate(
        None if experiment.static else number(rate.value),
        details=_rate_details(step, estimates, static=experiment.static),
        dataset_group=datasets,
    )
    leaving = [each for each in scheme.finite_steps if each.source == step.source]
    if step.source in alone and len(leaving) == 1:
        written.relaxation_time = ihm.multi_state_scheme.RelaxationTime(
            number(1.0 / rate.value),
            "seconds",
            details=details(transition=step.name, std_error_ln=rate.std_error_ln),
            dataset_group=datasets,
        )
    return written


def _rate_details(step: Step, estimates: _Estimates, *, static: bool) -> str:
    rate = estimates["rate_constant", step.name]
    source, target = step.name.split("->")
    second = estimates.get(("second_order_rate_constant", step.name))
    constant = estimates.get(("equilibrium_constant", f"{source}<->{target}"))
    return details(
        transition=step.name,
        relative_rate_constant=rate.value if static else None,
        meaning="only ratios of rates show" if static else None,
        unit=None if static else rate.unit,
        refined="yes" if rate.refined else "no",
        std_error_ln=rate.std_error_ln,
        std_error=rate.std_error,
        lower=rate.lower,
        upper=rate.upper,
        start=rate.start,
        second_order_rate_constant=None if second is None else _with_error(second),
        equilibrium_constant=None if constant is None else _with_error(constant),
    )


def _states_alone(scheme: Scheme, estimates: _Estimates) -> frozenset[int]:
    """States to which nothing returns after the trigger: only these decay with one time of their own.

    The others are in a cycle, where a relaxation time mixes the rates of several transitions.
    """
    pairs = []
    for step in scheme.finite_steps:
        pairs.append((step.source, step.target))
        if estimates["efficiency", step.name].value < 1.0:
            pairs.append((step.source, step.ground))
    n = len(scheme.states)
    if not pairs:
        return frozenset()
    rows, columns = np.array(pairs).T
    graph = csr_array((np.ones(len(pairs)), (rows, columns)), shape=(n, n))
    _, labels = connected_components(graph, directed=True, connection="strong")
    sizes = np.bincount(labels)
    itself = {source for source, target in pairs if source == target}
    return frozenset(place for place in range(n) if sizes[labels[place]] == 1 and place not in itself)
