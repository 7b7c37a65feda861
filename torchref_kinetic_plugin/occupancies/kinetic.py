"""Occupancies that follow a kinetic scheme."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.errors import ShapeError
from torchref_kinetic_plugin.kinetics.activation import Activation, Saturation
from torchref_kinetic_plugin.kinetics.model import KineticModel, unique_parameters
from torchref_kinetic_plugin.kinetics.parameters import Float64Module, ScalarParameter, as_number
from torchref_kinetic_plugin.kinetics.priors import Restrained
from torchref_kinetic_plugin.kinetics.priors import regularization as sum_of_priors
from torchref_kinetic_plugin.occupancies import options, saved_state
from torchref_kinetic_plugin.occupancies.conditions import Condition
from torchref_kinetic_plugin.occupancies.control import ParameterControl
from torchref_kinetic_plugin.occupancies.description import describe
from torchref_kinetic_plugin.occupancies.identifiability import remarks, require_identifiable
from torchref_kinetic_plugin.occupancies.joint_rates import JointRates
from torchref_kinetic_plugin.occupancies.regularization import Regularization
from torchref_kinetic_plugin.occupancies.state_mapping import (
    mapping_matrix,
    resolve_mapping,
    structure_labels,
)
from torchref_kinetic_plugin.occupancies.times import Times, times_tensor
from torchref_kinetic_plugin.scheme import Scheme, seconds_per

_log = logging.getLogger(__name__)


class occupancies_kinetics(ParameterControl, Float64Module):
    """Occupancies of structures at all delays from one kinetic scheme.

    The fixed arguments come first; what follows the star is keyword-only. Times are numbers in a unit of
    the user's choice, rate constants in its inverse; with ``time_unit`` both may also be text with units.

    Parameters
    ----------
    flow_chart : str
        The scheme, e.g. ``"A->B,B->C,C->A"``; see `parse_flow_chart`.
    time : sequence or tensor
        Measured timepoints (n_timepoints,); any order, repeats, negative and infinite times allowed.
    rate_constants : mapping, optional
        Rate constant of each transition, > 0; ``inf`` out of the initial state is an impulse at time zero.
        Those left out start where the times can observe them.
    efficiencies : mapping, optional
        Fraction, in [0, 1], of what leaves the source that arrives in the target; the rest returns to the
        ground state. Default 1; 0.5 where refined without a value.
    instrument_function : {'none', 'gaussian'}
        Response of the probe.
    instrument_width : float
        Its standard deviation (FWHM = 2.355 of these), in the unit of the times.
    light_activated : bool
        Whether the trigger acts once: what returns to the initial state A becomes A*, the same, but inert.
    state_mapping : mapping, optional
        State to structure index; by default states are numbered in flow-chart order.
    regularization : mapping, optional
        Priors; see `occupancies.regularization.DEFAULTS`.
    verbose : int
        0 logs nothing; 1 logs remarks on what the times cannot determine; 2 also the parameters.
    activation : float
        Fraction of the molecules that the trigger reaches; the rest keeps the initial structure.
    activation_spread : float, optional
        Standard deviation of the logit of the activation between timepoints; makes it vary.
    initial_state : str, optional
        State on which the trigger acts; by default the first that is named.
    initial_populations : mapping, optional
        Populations before the trigger, summing to 1; by default all in the initial state.
    time_zero : float
        Time of the trigger.
    refine_rates : iterable of str, optional
        Transitions whose rate constant is refined; by default all finite ones.
    refine_efficiencies : iterable of str
        Transitions whose efficiency is refined.
    refine_instrument : iterable of str, optional
        Of ``'width'`` and ``'time_zero'``; by default the width of a Gaussian.
    refine_activation : bool
        Whether the common activation is refined.
    bounds : mapping, optional
        Transition to ``(lower, upper)`` of its rate constant.
    ties : mapping, optional
        Transition to the one whose rate constant it shares, or to ``(transition, factor)``.
    time_unit : str, optional
        Unit of the times, e.g. ``'ns'``.
    structure_names : sequence of str, optional
        Names of the structures, for plots.

    Raises
    ------
    InputError
        One of its kinds, for any option that is not allowed, naming what is.
    """

    time: Tensor
    _mapping_matrix: Tensor

    def __init__(
        self,
        flow_chart: str,
        time: Times,
        rate_constants: Mapping[str, float | str] | None = None,
        efficiencies: Mapping[str, float] | None = None,
        instrument_function: str = "none",
        instrument_width: float = 10.0,
        light_activated: bool = False,
        state_mapping: Mapping[str, int] | None = None,
        regularization: Mapping[str, Any] | None = None,
        verbose: int = 1,
        *,
        activation: float = 1.0,
        activation_spread: float | None = None,
        initial_state: str | None = None,
        initial_populations: Mapping[str, float] | None = None,
        time_zero: float = 0.0,
        refine_rates: Iterable[str] | None = None,
        refine_efficiencies: Iterable[str] = (),
        refine_instrument: Iterable[str] | None = None,
        refine_activation: bool = False,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        ties: Mapping[str, Any] | None = None,
        time_unit: str | None = None,
        structure_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if time_unit is not None:
            seconds_per(time_unit)
        rates = options.read_rates(rate_constants, time_unit)
        self.scheme = Scheme.build(
            flow_chart,
            light_activated=light_activated,
            initial=initial_state,
            impulsive=[name for name, value in rates.items() if math.isinf(value) and value > 0.0],
        )
        self.register_buffer("time", times_tensor(time, time_unit), persistent=False)
        delays = self.time - as_number(time_zero, "time_zero")
        self.regularization = Regularization(self.scheme, delays.numpy(), regularization)
        network = options.build_network(
            self.scheme,
            delays,
            rates,
            efficiencies,
            self.regularization,
            initial=options.initial_vector(self.scheme, initial_populations),
            refine_rates=refine_rates,
            refine_efficiencies=refine_efficiencies,
            bounds=(bounded := options.read_bounds(self.scheme, bounds, time_unit)),
            ties=(tied := options.read_ties(self.scheme, ties)),
        )
        self.tied = frozenset(tied)
        gaussian = instrument_function == "gaussian"
        refined = (("width",) if gaussian else ()) if refine_instrument is None else tuple(refine_instrument)
        self.kinetics: KineticModel = options.build_model(
            network,
            options.build_response(instrument_function, instrument_width, refined="width" in refined),
            Activation(activation, len(self.time), spread=activation_spread, refined=refine_activation),
            self.time,
            time_zero,
            refined,
        )
        require_identifiable(self.kinetics)
        self.state_mapping = resolve_mapping(self.scheme, state_mapping)
        self.register_buffer("_mapping_matrix", mapping_matrix(self.scheme, self.state_mapping), persistent=False)
        self.nstates = self._mapping_matrix.shape[0]
        self.structure_labels = structure_labels(self.scheme, self.state_mapping, structure_names)
        self.time_unit = time_unit
        self.verbose = verbose
        self.condition = Condition()
        self.joint = JointRates()
        self.starts_elsewhere = initial_populations is not None
        self.shared_remarks: tuple[str, ...] = ()
        self._restrained_elsewhere: tuple[Restrained, ...] = ()
        self._settings: dict[str, Any] = {
            "flow_chart": self.scheme.chart.text,
            "time": self.time.tolist(),
            "instrument_function": instrument_function,
            "light_activated": self.scheme.light_activated,
            "state_mapping": dict(self.state_mapping),
            "regularization": self.regularization.table,
            "activation_spread": activation_spread,
            "initial_state": self.scheme.initial,
            "initial_populations": dict(initial_populations) if initial_populations is not None else None,
            "bounds": bounded,
            "ties": tied,
            "time_unit": time_unit,
            "structure_names": list(structure_names) if structure_names is not None else None,
        }
        if verbose:
            for remark in self.remarks():
                _log.warning(remark)
        if verbose > 1:
            _log.info(describe(self.kinetics, time_unit))

    def forward(self) -> Tensor:
        """Occupancies at the measured timepoints.

        Returns
        -------
        Tensor
            (n_structures, n_timepoints), float64; columns sum to 1.
        """
        return self.mapped(self.populations().T)

    def mapped(self, populations: Tensor) -> Tensor:
        """Occupancies (n_structures, n) of populations (n_states, n)."""
        return self._mapping_matrix @ populations

    def populations(self) -> Tensor:
        """Populations at the measured timepoints (n_timepoints, n_states), in the order of `scheme.states`."""
        result: Tensor = self.kinetics(self.time, at_timepoints=True)
        return result

    def populations_at(self, times: Times) -> Tensor:
        """Populations at any times (n_times, n_states), with the common activation."""
        result: Tensor = self.kinetics(times_tensor(times, self.time_unit).to(self.time.device))
        return result

    def occupancies_at(self, times: Times) -> Tensor:
        """Occupancies at any times (n_structures, n_times), with the common activation."""
        return self._mapping_matrix @ self.populations_at(times).T

    def reference_occupancies(self) -> Tensor:
        """Occupancies (n_structures,) before the trigger, as references have them."""
        return self._mapping_matrix @ self.kinetics.network.before

    def follow(self, joint: JointRates, condition: Condition, deviations: Mapping[str, ScalarParameter]) -> None:
        """Let the rates follow what several experiments have in common; see `JointRates.apply`."""
        self.joint, self.condition = joint, condition
        joint.apply(self.kinetics.network, self.tied, condition, deviations)
        if joint.saturation is not None and condition.pump_energy is not None:
            self.kinetics.activation.saturate(Saturation(*joint.saturation, condition.pump_energy))
        require_identifiable(self.kinetics)

    def leave_restraints_to(self, others: Iterable[Restrained]) -> None:
        """Leave priors on shared parameters to another model, where an objective adds those of all models."""
        self._restrained_elsewhere = tuple(others)

    def get_regularization_loss(self) -> Tensor:
        """Sum of all priors but those left to another model, a scalar with gradients to what they restrain."""
        return sum_of_priors(self, elsewhere=self._restrained_elsewhere)

    def get_parameter_groups(self, base_lr: float = 0.001) -> list[dict[str, Any]]:
        """Optimizer groups, each with a learning rate and a name; frozen parameters get no gradient.

        Parameters
        ----------
        base_lr : float
            Learning rate of the logarithms of the rates. Logits of efficiencies and activation share it, and
            energies in units that change ln k by 1 over the range of temperatures; the instrument's parameters move at
            a tenth of it.
        """
        parts: dict[str, tuple[float, list[nn.Module]]] = {
            "rate_constants": (base_lr, list(self.kinetics.network.rate_parameters().values())),
            "laws": (base_lr, list(self.kinetics.network.term_parameters())),
            "efficiencies": (base_lr, self._efficiency_modules()),
            "instrument": (0.1 * base_lr, list(self.kinetics.instrument_parameters().values())),
            "activation": (base_lr, [self.kinetics.activation]),
        }
        return [
            {"params": parameters, "lr": lr, "name": name}
            for name, (lr, modules) in parts.items()
            if (parameters := unique_parameters(modules))
        ]

    def remarks(self) -> list[str]:
        """What is refined although the times, the scheme or the conditions say little about it, in words."""
        return [*remarks(self.kinetics, self.time), *self.condition.remarks(), *self.shared_remarks]

    def print_parameters(self) -> None:
        """Print the parameters as a table."""
        print(describe(self.kinetics, self.time_unit))

    def state_dict_kinetics(self) -> dict[str, Any]:
        """Everything needed to build this model anew, as plain values and tensors."""
        values: dict[str, Any] = {
            # A bounded rate at its bound rounds onto it, which is not a start; its raw value is saved anyway.
            "rate_constants": {
                name: rate
                for name, rate in self.get_rate_constants().items()
                if name not in self._settings["bounds"] and name not in self._settings["ties"]
            },
            "efficiencies": self.get_efficiencies(),
            "activation": self.kinetics.activation.common.number,
            "time_zero": self.kinetics.time_zero.number,
        }
        if (width := self.kinetics.response.width) is not None:
            values["instrument_width"] = width.number
        return saved_state.save(type(self).__name__, self._settings | values, self)

    @classmethod
    def load_from_kinetics_state(cls, state: Mapping[str, Any], verbose: int = 1) -> Self:
        """Build the model that a saved state describes.

        Raises
        ------
        StateError
            For a state of another version or class, or an incomplete one.
        """
        saved_state.check(cls.__name__, state)
        model = cls(**state["settings"], verbose=verbose)
        saved_state.restore(model, state)
        return model

    def get_extra_state(self) -> dict[str, Any]:
        """What `state_dict` holds beside the parameters: the settings and what is frozen."""
        return {
            "version": saved_state.STATE_VERSION,
            "settings": self._settings,
            "frozen": saved_state.frozen_names(self),
        }

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take over what is frozen from a state of the same settings, else raise `StateError`."""
        saved_state.check(type(self).__name__, {"model": type(self).__name__, "parameters": {}, **state})
        saved_state.require_same(type(self).__name__, self._settings, state["settings"])
        saved_state.set_frozen(self, state["frozen"])

    def plot_occupancies(
        self,
        path: str | os.PathLike[str],
        log_scale: bool = True,
        show_kinetic_states: bool = False,
        figsize: tuple[float, float] = (10, 6),
        title: str | None = None,
    ) -> None:
        """Plot the occupancies (or populations) against time, with the scheme's time constants beside.

        Parameters
        ----------
        path : path
            Picture to write; its suffix chooses the format.
        log_scale : bool
            Whether delays after the trigger are drawn across decades.
        show_kinetic_states : bool
            Kinetic states in place of structures; a state and its inactive copy are one curve.
        figsize : tuple of float
            Width and height in inches.
        title : str, optional
            By default the flow chart.
        """
        from torchref_kinetic_plugin.occupancies import figures

        figures.plot_kinetic_occupancies(
            self, path, log_scale=log_scale, kinetic_states=show_kinetic_states, figsize=figsize, title=title
        )

    def plot_comparison(
        self,
        target_occupancies: Tensor,
        path: str | os.PathLike[str],
        log_scale: bool = True,
        figsize: tuple[float, float] = (12, 5),
    ) -> None:
        """Plot the occupancies against others at the same timepoints, and what is left between them.

        Parameters
        ----------
        target_occupancies : Tensor
            (n_structures, n_timepoints).
        path, log_scale, figsize
            As for `plot_occupancies`.

        Raises
        ------
        ShapeError
            When the target has another shape.
        """
        from torchref_kinetic_plugin.occupancies import figures

        target = torch.as_tensor(target_occupancies).detach().to("cpu", torch.float64)
        expected = (self.nstates, len(self.time))
        if tuple(target.shape) != expected:
            raise ShapeError(
                f"target_occupancies have shape {tuple(target.shape)}; (n_structures, n_timepoints) = {expected} "
                "is wanted"
            )
        figures.plot_occupancy_comparison(self, target, path, log_scale=log_scale, figsize=figsize)

    def plot_scheme(self, path: str | os.PathLike[str], title: str | None = None) -> None:
        """Draw the scheme: states as nodes, transitions as arrows with time constants and efficiencies."""
        from torchref_kinetic_plugin.occupancies import figures

        figures.plot_scheme(self, path, title=title)
