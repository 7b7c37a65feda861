"""The refined quantities of a provider on axes without ends, and information about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from torchref_kinetic_plugin.analysis.coordinates import Coordinate
from torchref_kinetic_plugin.occupancies import occupancy_unrestrained
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.estimates import Key, ProviderParameters
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.uncertainty import half_inverse
from torchref_kinetic_plugin.results import ALL_EXPERIMENTS

#: Part of a quantity's direction, as a fraction, below which it is a combination of others.
_NOTHING_NEW = 1e-6
#: Slope below which a quantity is at the end of its range, as an occupancy at zero, and nothing moves it.
_AT_ITS_END = 1e-9
#: Kind of a free occupancy; its table is another, so that `ProviderParameters` leaves it out.
OCCUPANCY = "occupancy"
#: What comes first where several quantities say the same: the Gibbs energy, at the temperature where it depends least
#: on the enthalpy, then enthalpies, then what else is shared.
_FIRST = ("activation_gibbs_energy", "activation_enthalpy", "reaction_enthalpy")
#: What comes last: entropies follow enthalpies, since the temperatures of a series are far from 1/T = 0.
_LAST = ("activation_entropy", "reaction_entropy")
_SYMBOLS = {
    "rate_constant": "k",
    "second_order_rate_constant": "second-order k",
    "equilibrium_constant": "K",
    "activation_energy": "activation energy",
    "activation_enthalpy": "activation enthalpy",
    "activation_entropy": "activation entropy",
    "activation_gibbs_energy": "Gibbs energy of activation",
    "reaction_enthalpy": "reaction enthalpy",
    "reaction_entropy": "reaction entropy",
    "saturation_energy": "saturation energy",
}
_NAMED = {
    ("activation", "common"): "activation",
    ("activation", "maximum"): "largest activation",
    ("saturation_energy", "activation"): "saturation energy",
    ("response", "width"): "instrument width",
    ("response", "time_zero"): "time zero",
}


@final
@dataclass(frozen=True, eq=False)
class Quantity:
    """A refined quantity.

    Attributes
    ----------
    key : tuple of str
        Experiment, kind and name.
    value : float
        Present one, in ``unit``.
    unit : str
        As of `Estimate`.
    coordinate : Coordinate
        Its axis without ends.
    slope : ndarray
        (n_refined,), derivatives of the place on it in the raw parameters.
    label : str
        What words call it, as ``"k(A->B)"``.
    """

    key: Key
    value: float
    unit: str
    coordinate: Coordinate
    slope: Floats
    label: str

    @property
    def kind(self) -> str:
        """As of `Estimate`."""
        return self.key[1]

    @property
    def name(self) -> str:
        """As of `Estimate`."""
        return self.key[2]

    @property
    def log_slope(self) -> float | None:
        """Derivative of ln(value) in the place; None for what has no logarithm."""
        if self.coordinate.form == "linear":
            return None
        return 1.0 if self.coordinate.form == "ln" else 1.0 - self.value

    def error_of_value(self, error: float) -> float:
        """Standard error of the value from that of the place."""
        return error / self.coordinate.slope(self.value)


def refined_quantities(models: Sequence[ExperimentModel], provider: SeriesOccupancies) -> list[Quantity]:
    """All that a refinement of the provider changes and a user is told, at its present values.

    Parameters
    ----------
    models : sequence of ExperimentModel
        The experiments; timepoints have their datasets' names.
    provider : SeriesOccupancies
        The occupancies.
    """
    several = len(provider.names) > 1
    parameters = ProviderParameters(provider)
    slopes = parameters.slopes()
    found = []
    for key, (tensor, unit) in parameters.tensors().items():
        if key in slopes:
            value = tensor.item()
            coordinate = Coordinate.of(key, value, slopes[key])
            slope = coordinate.slope(value) * slopes[key]
            found.append(Quantity(key, value, unit, coordinate, slope, _label(key, several)))
    return [*found, *_free_occupancies(models, provider, several)]


def _free_occupancies(models: Sequence[ExperimentModel], provider: SeriesOccupancies, several: bool) -> list[Quantity]:
    """Free occupancies but those of the reference's structure, which follow from the sum."""
    if not any(isinstance(module, occupancy_unrestrained) for module in provider.modules_by_experiment):
        return []
    found = []
    tables = SecondOrderFit(list(provider.modules_by_experiment), []).jacobians()
    for model, module, table in zip(models, provider.modules_by_experiment, tables, strict=True):
        if not isinstance(module, occupancy_unrestrained):
            continue
        values, slopes = (each.numpy() for each in table)
        slopes = slopes.reshape(*values.shape, -1)
        reference = int(np.argmax(model.reference_occupancies))
        for column, timepoint in enumerate(model.data.datasets[model.data.n_fixed :]):
            for row, structure in enumerate(module.structure_names):
                if row != reference:
                    key = (model.data.name, OCCUPANCY, f"{structure} at {timepoint}")
                    place = Coordinate("linear")
                    value, slope = float(values[row, column]), slopes[row, column]
                    found.append(Quantity(key, value, "", place, slope, _label(key, several)))
    return found


def _label(key: Key, several: bool) -> str:
    experiment, kind, name = key
    symbol = _SYMBOLS.get(kind, kind)
    text = _NAMED.get((kind, name), name if kind == "parameter" else f"{symbol}({name})")
    return f"{experiment}: {text}" if several and experiment != ALL_EXPERIMENTS else text


@final
class IndependentQuantities:
    """As many of the refined quantities as are independent; others follow from them or are at the end of their range.

    Parameters
    ----------
    quantities : sequence of Quantity
        All, as of `refined_quantities`; shared ones come first, of several that say the same the first stays.

    Attributes
    ----------
    quantities : tuple of Quantity
        (m,) those that stay.
    slopes : ndarray
        (m, n_refined).
    """

    def __init__(self, quantities: Sequence[Quantity]) -> None:
        chosen: list[Quantity] = []
        axes = np.zeros((0, len(quantities[0].slope) if quantities else 0))
        for each in sorted(quantities, key=_rank):
            if (size := float(np.linalg.norm(each.slope))) < _AT_ITS_END:
                continue
            direction = each.slope / size
            left = direction - axes.T @ (axes @ direction)
            left = left - axes.T @ (axes @ left)
            if (length := float(np.linalg.norm(left))) > _NOTHING_NEW:
                axes = np.vstack([axes, left / length])
                chosen.append(each)
        place = {id(each): number for number, each in enumerate(quantities)}
        self.quantities = tuple(sorted(chosen, key=lambda each: place[id(each)]))
        self.slopes = np.array([each.slope for each in self.quantities]).reshape(len(chosen), axes.shape[1])
        self._inverse = axes
        if chosen:
            others = np.linalg.qr(axes.T, mode="complete")[0][:, len(chosen) :]
            self._inverse = np.linalg.inv(np.vstack([self.slopes, others.T]))

    def information(self, raw: Floats, elsewhere: Floats | None = None) -> Floats:
        """Information (m, m) about the quantities, all else that is refined eliminated.

        Parameters
        ----------
        raw : ndarray
            (n_refined, n_refined), about the raw parameters.
        elsewhere : ndarray, optional
            The same, of which only what it says of other things than the quantities counts.
        """
        m = len(self.quantities)
        whole = self._inverse.T @ raw @ self._inverse
        if elsewhere is not None:
            whole[m:, m:] += (self._inverse.T @ elsewhere @ self._inverse)[m:, m:]
        half, _ = half_inverse(whole[m:, m:])
        through = half @ whole[m:, :m]
        left: Floats = whole[:m, :m] - through.T @ through
        return 0.5 * (left + left.T)


def _rank(quantity: Quantity) -> tuple[bool, bool, int]:
    experiment, kind, _ = quantity.key
    return kind in _LAST, experiment != ALL_EXPERIMENTS, _FIRST.index(kind) if kind in _FIRST else len(_FIRST)
