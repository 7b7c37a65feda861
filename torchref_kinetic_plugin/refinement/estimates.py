"""A provider's parameters and occupancies with their errors, as plain values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import final

import numpy as np
import torch
from scipy.special import expit, logit
from torch import Tensor, nn

from torchref_kinetic_plugin.occupancies import occupancies_kinetics, occupancy_unrestrained
from torchref_kinetic_plugin.occupancies.joint_rates import JointRates
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.uncertainty import Uncertainty
from torchref_kinetic_plugin.results import ALL_EXPERIMENTS, SIGNED_KINDS, Estimate, OccupancyEstimate
from torchref_kinetic_plugin.scheme import seconds_per

#: Standard errors in half a 95 % interval.
_95 = 1.959963984540054
#: Kinds whose intervals are symmetric in ln.
POSITIVE_KINDS = frozenset({"rate_constant", "second_order_rate_constant", "equilibrium_constant", "saturation_energy"})
#: Kinds that lie between 0 and 1, whose intervals are symmetric in the logit.
FRACTION_KINDS = frozenset({"efficiency", "activation"})
#: Standard error of an enthalpy, kJ/mol, above which it is as good as unknown: a factor of 2 in k over 20 K.
UNKNOWN_ENTHALPY = 20.0

#: Occupancy that is as good as none.
_NONE = 1e-3

Key = tuple[str, str, str]


@final
class ProviderParameters:
    """The parameters of a provider by experiment, kind and name.

    Parameters
    ----------
    provider : SeriesOccupancies
        The provider; values are read when they are asked for.
    """

    def __init__(self, provider: SeriesOccupancies) -> None:
        self._provider = provider
        self._fit = SecondOrderFit(list(provider.modules_by_experiment), [])

    def values(self) -> dict[Key, float]:
        """Present values."""
        return {key: value.item() for key, value, _ in self._all()}

    def tensors(self) -> dict[Key, tuple[Tensor, str]]:
        """Present values as scalars with gradients to the raw parameters, and their units."""
        return {key: (value, unit) for key, value, unit in self._all()}

    def slopes(self) -> dict[Key, Floats]:
        """Derivatives (n_refined,) of each value in the raw parameters; of those that are refined."""
        slopes = {key: self._fit.gradient(value) for key, value, _ in self._all()}
        return {key: slope for key, slope in slopes.items() if slope.any()}

    @property
    def n_refined(self) -> int:
        """Refined numbers of the provider, a shared one once."""
        return self._fit.size

    def starting(self) -> list[tuple[str, str, str, float, str, bool]]:
        """Experiment, kind, name, value, unit of each parameter, and whether it is refined."""
        return [(*key, value.item(), unit, bool(self._fit.gradient(value).any())) for key, value, unit in self._all()]

    def estimates(self, uncertainty: Uncertainty, start: Mapping[Key, float]) -> list[Estimate]:
        """Values, standard errors and 95 % intervals.

        Intervals are symmetric in ln k for rate constants and other positive numbers, in logit for fractions, in the
        value itself for energies and entropies, which have no logarithm.
        """
        found = []
        for key, value, unit in self._all():
            experiment, kind, name = key
            number = value.item()
            slope = self._fit.gradient(value)
            error = lower = upper = sigma = None
            if slope.any():
                sigma = error_along(slope, uncertainty.covariance)
                if kind not in SIGNED_KINDS:
                    error = sigma / abs(number) if number else math.inf
                lower, upper = _interval(number, sigma, kind)
            found.append(Estimate(experiment, kind, name, number, unit, error, lower, upper, start[key], sigma))
        return found

    def _all(self) -> Iterator[tuple[Key, Tensor, str]]:
        for experiment, module in zip(self._provider.names, self._provider.modules_by_experiment, strict=True):
            listed = _of_kinetics(module) if isinstance(module, occupancies_kinetics) else _of_another(module)
            for kind, name, value, unit in listed:
                yield (experiment, kind, name), value, unit
        joint: dict[int, occupancies_kinetics] = {}
        for module in self._provider.modules_by_experiment:
            if isinstance(module, occupancies_kinetics):
                joint.setdefault(id(module.joint), module)
        for module in joint.values():
            for kind, name, value, unit in _of_joint(module.joint, 1.0 / seconds_per(module.time_unit or "s")):
                yield (ALL_EXPERIMENTS, kind, name), value, unit


def _of_kinetics(module: occupancies_kinetics) -> Iterator[tuple[str, str, Tensor, str]]:
    network, second = module.kinetics.network, 1.0 / seconds_per(module.time_unit or "s")
    finite = [step.name for step in module.scheme.finite_steps]
    for name, value in zip(finite, network.rate_constants(), strict=True):
        yield "rate_constant", name, value * second, "1/s"
        if name in module.joint.binding and module.condition.concentration is not None:
            yield "second_order_rate_constant", name, value * (second / module.condition.concentration), "1/(M s)"
    if (equilibria := module.joint.equilibria) is not None:
        for pair in equilibria.pairs:
            unit = {1: "1/M", -1: "M"}.get(equilibria.bound(pair), "")
            yield "equilibrium_constant", pair.name, equilibria.constant(pair, module.condition.temperature), unit
    impulses = (
        {} if network.impulses is None else dict(zip(network.impulses.shares, network.impulses()[0], strict=True))
    )
    own = network.efficiency_parameters()
    for name in module.scheme.transitions:
        yield "efficiency", name, impulses[name] if name in impulses else own[name].value, ""
    activation = module.kinetics.activation
    if not activation.common.frozen or activation.common.number != 1.0:
        yield "activation", "common", activation.common.value, ""
    for name, parameter in module.kinetics.instrument_parameters().items():
        if not parameter.frozen or name == "width":
            yield "response", name, parameter.value / second, "s"


def _of_joint(joint: JointRates, units_per_second: float) -> Iterator[tuple[str, str, Tensor, str]]:
    for name, law in joint.laws.items():
        for kind, value, unit in law.activation(units_per_second):
            yield kind, name, value, unit
    if joint.saturation is not None:
        maximum, energy = joint.saturation
        yield "activation", "maximum", maximum.value, ""
        yield "saturation_energy", "activation", energy.value, "J"
    if (equilibria := joint.equilibria) is None:
        return
    for pair in equilibria.pairs:
        enthalpy, entropy = equilibria.reaction_enthalpy(pair), equilibria.reaction_entropy(pair)
        if enthalpy is not None and entropy is not None:
            yield "reaction_enthalpy", pair.name, enthalpy, "kJ/mol"
            yield "reaction_entropy", pair.name, entropy, "J/(mol K)"


def undetermined_enthalpies(estimates: Sequence[Estimate]) -> list[str]:
    """Enthalpies of which the range of temperatures says little, after a fit, in words."""
    found = []
    for each in estimates:
        if each.kind not in {"activation_enthalpy", "reaction_enthalpy"} or each.std_error is None:
            continue
        # That of a reaction may well be 0.
        unknown = each.std_error > UNKNOWN_ENTHALPY
        unknown |= each.kind == "activation_enthalpy" and each.std_error > abs(each.value)
        if unknown:
            error = f"± {each.std_error:.2g} kJ/mol" if math.isfinite(each.std_error) else "without any limit"
            found.append(
                f"the {each.kind.replace('_', ' ')} of {each.name} is {each.value:.3g} kJ/mol {error}: the range of "
                "temperatures does not determine it"
            )
    return found


def _of_another(module: nn.Module) -> Iterator[tuple[str, str, Tensor, str]]:
    """Raw parameters of a module that is not ours; free occupancies are their own table."""
    if isinstance(module, occupancy_unrestrained):
        return
    for name, parameter in module.named_parameters():
        for number, entry in enumerate(parameter.flatten()):
            yield "parameter", name if parameter.numel() == 1 else f"{name}[{number}]", entry, ""


def occupancy_estimates(
    models: Sequence[ExperimentModel],
    timepoints: Sequence[Sequence[str]],
    structures: Sequence[str],
    provider: SeriesOccupancies,
    uncertainty: Uncertainty,
) -> list[OccupancyEstimate]:
    """Occupancies of all experiments with their 95 % intervals; ``timepoints`` are the names in each.

    References are among them, at a delay of minus infinity, where their occupancies depend on what was refined.
    """
    found = []
    with torch.no_grad():
        values = [each.cpu().numpy() for each in provider()]
    tables = zip(models, timepoints, values, uncertainty.occupancies, strict=True)
    for model, points, occupancies, errors in tables:
        first = model.data.n_references - model.data.n_fixed
        names = [*model.data.datasets[:first], *points]
        times = [*([-math.inf] * first), *model.data.times]
        for column, (timepoint, time) in enumerate(zip(names, times, strict=True)):
            for row, structure in enumerate(structures):
                value, half = float(occupancies[row, column]), _95 * float(errors[row, column])
                known = bool(uncertainty.names)
                found.append(
                    OccupancyEstimate(
                        model.data.name,
                        timepoint,
                        time,
                        structure,
                        value,
                        value - half if known else None,
                        value + half if known else None,
                    )
                )
    return found


def unsupported_structures(estimates: Sequence[OccupancyEstimate], structures: Sequence[str]) -> list[str]:
    """Sentences on those of the structures that no timepoint holds with any certainty."""
    found = []
    for name in structures:
        own = [each for each in estimates if each.structure == name]
        if all(each.occupancy < _NONE or (each.lower is not None and each.lower <= 0.0) for each in own):
            most = max((each.occupancy for each in own), default=0.0)
            found.append(
                f"the data do not support structure {name!r}: its occupancy, {most:.3f} at most, is at no timepoint "
                "above zero by two standard errors; its atoms, and rates and yields that lead to it, mean nothing"
            )
    return found


def error_along(slope: Floats, covariance: Floats) -> float:
    """Standard error of what depends on the raw parameters by a slope (n_refined,); infinite where one is open."""
    used = slope != 0.0
    part = covariance[np.ix_(used, used)]
    if not np.isfinite(part).all():
        return math.inf
    return math.sqrt(max(0.0, float(slope[used] @ part @ slope[used])))


def _interval(value: float, sigma: float, kind: str) -> tuple[float, float]:
    if kind in FRACTION_KINDS:
        if math.isinf(sigma):
            return 0.0, 1.0
        half = _95 * sigma / max(value * (1.0 - value), 1e-300)
        centre = float(logit(value))
        return float(expit(centre - half)), float(expit(centre + half))
    if kind in POSITIVE_KINDS or (kind == "response" and value > 0.0):
        factor = math.exp(min(_95 * sigma / value, 700.0))
        return value / factor, value * factor
    return value - _95 * sigma, value + _95 * sigma
