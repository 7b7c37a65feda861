"""Occupancies of several experiments that share one kinetic mechanism."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from torchref_kinetic_plugin.kinetics.parameters import Float64Module
from torchref_kinetic_plugin.kinetics.priors import regularization as sum_of_priors
from torchref_kinetic_plugin.occupancies import saved_state
from torchref_kinetic_plugin.occupancies.conditions import CONDITIONS, read_condition
from torchref_kinetic_plugin.occupancies.experiment_tables import experiment_names, transitions_named
from torchref_kinetic_plugin.occupancies.joint_control import JointControl
from torchref_kinetic_plugin.occupancies.joint_remarks import undetermined_laws
from torchref_kinetic_plugin.occupancies.joint_setup import build_models
from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics
from torchref_kinetic_plugin.occupancies.law_options import LawOptions
from torchref_kinetic_plugin.scheme import parse_flow_chart

_log = logging.getLogger(__name__)

#: Options of an experiment: all of the single model's but the mechanism and the verbosity, and its conditions.
_OPTIONS = (
    *(name for name in inspect.signature(occupancies_kinetics).parameters if name not in ("flow_chart", "verbose")),
    *CONDITIONS,
)


class occupancies_kinetics_multiexperiment(JointControl, Float64Module):
    """One scheme, several experiments, rate constants shared or on a law of temperature as asked.

    Parameters
    ----------
    flow_chart : str
        The scheme of all experiments.
    experiments : sequence of mapping
        Each with ``time``, ``rate_constants`` (or None), ``name``, any option of `occupancies_kinetics`, and its
        conditions: ``temperature`` and ``temperature_before`` (K, before a jump: the populations before the trigger are
        the stationary state there), ``concentration`` (mol/L, or text as ``"5 mM"``), ``pump_energy`` (J, or text).
    shared_rates : sequence of str, optional
        Transitions whose rate constant is one parameter of all experiments. None: each has its own.
    verbose : int
        As for `occupancies_kinetics`.
    rate_constants : mapping, optional
        Starting rate constants of all experiments; those of a transition on a law are at the reference temperature.
    rate_law : str or mapping, optional
        ``'eyring'``, ``'arrhenius'`` or ``'constant'``: of all finite transitions, or by transition.
    reference_temperature : float, optional
        K, within those of the experiments; by default the harmonic mean of these.
    activation_enthalpies : mapping, optional
        Starts in kJ/mol, default 50; with ``'arrhenius'`` they are activation energies.
    refine_enthalpies : iterable of str, optional
        Transitions whose enthalpy is refined; by default all.
    equilibrium : sequence of str or 'all'
        Pairs as ``"A<->B"`` whose back rate is the forward one over the equilibrium constant.
    equilibrium_constants : mapping, optional
        Starts, population of B over that of A, at the reference temperature; default 1.
    reaction_enthalpies : mapping, optional
        Starts in kJ/mol, default 0.
    pseudo_first_order : sequence of str
        Transitions whose rate is a second-order constant times the concentration.
    activation_law : mapping, optional
        Activation as ``maximum (1 - exp(-pump_energy / saturation_energy))``: ``maximum`` (default 1),
        ``saturation_energy`` (J or text), ``refine_maximum`` (default False), ``refine_saturation_energy`` (True).
    regularization : mapping, optional
        Priors on laws, by transition or for all: ``enthalpy_prior_mean`` and ``enthalpy_prior_std`` (kJ/mol),
        ``law_spread``, the standard deviation of ln k of an experiment about its law.

    Attributes
    ----------
    kinetic_models : nn.ModuleList
        The model of each experiment; a shared rate is the same parameter object in all of them.
    names : tuple of str
        Names of the experiments.
    joint : JointRates
        What they have in common.

    Raises
    ------
    InputError
        One of its kinds, for what the single model refuses, unknown keys, two experiments of one name, a shared rate
        that experiments start, bound, tie or restrain differently, or laws that contradict each other.
    """

    def __init__(
        self,
        flow_chart: str,
        experiments: Sequence[Mapping[str, Any]],
        shared_rates: Sequence[str] | None = None,
        verbose: int = 1,
        *,
        rate_constants: Mapping[str, float | str] | None = None,
        rate_law: str | Mapping[str, str] | None = None,
        reference_temperature: float | None = None,
        activation_enthalpies: Mapping[str, float] | None = None,
        refine_enthalpies: Iterable[str] | None = None,
        equilibrium: Sequence[str] | str = (),
        equilibrium_constants: Mapping[str, float] | None = None,
        reaction_enthalpies: Mapping[str, float] | None = None,
        pseudo_first_order: Sequence[str] = (),
        activation_law: Mapping[str, Any] | None = None,
        regularization: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.flow_chart = parse_flow_chart(flow_chart).text
        self.names = experiment_names(experiments, _OPTIONS)
        self.shared_rates = transitions_named(flow_chart, shared_rates or (), "shared_rates")
        self._options = LawOptions(
            rate_law,
            reference_temperature,
            activation_enthalpies or {},
            refine_enthalpies
            if refine_enthalpies is None or isinstance(refine_enthalpies, str)
            else [*refine_enthalpies],
            equilibrium,
            equilibrium_constants or {},
            reaction_enthalpies or {},
            pseudo_first_order,
            regularization or {},
        )
        conditions = {name: read_condition(each, name) for name, each in zip(self.names, experiments, strict=True)}
        models, self.joint = build_models(
            flow_chart,
            experiments,
            conditions,
            self.shared_rates,
            rate_constants or {},
            self._options,
            activation_law=activation_law,
            verbose=verbose,
        )
        self._activation_law = None if activation_law is None else dict(activation_law)
        self.kinetic_models = nn.ModuleList(models)
        self.n_experiments = len(models)
        self.verbose = verbose
        models[0].shared_remarks += tuple(undetermined_laws(self.joint, models))
        if verbose:
            for name, condition in conditions.items():
                for remark in condition.remarks():
                    _log.warning("%s: %s", name, remark)
            for remark in models[0].shared_remarks:
                _log.warning(remark)

    def forward(self, experiment_idx: int) -> Tensor:
        """Occupancies of one experiment (n_structures, n_timepoints)."""
        result: Tensor = self._model(experiment_idx)()
        return result

    def forward_all(self) -> list[Tensor]:
        """Occupancies of all experiments, in their order."""
        return [model() for model in self.models]

    def get_regularization_loss(self) -> Tensor:
        """Sum of all priors; one on a shared rate counts once."""
        return sum_of_priors(self)

    def get_parameter_groups(self, base_lr: float = 0.001) -> list[dict[str, Any]]:
        """Optimizer groups over all experiments, every parameter in exactly one of them."""
        groups: dict[str, dict[str, Any]] = {}
        seen: set[int] = set()
        for model in self.models:
            for group in model.get_parameter_groups(base_lr):
                joint = groups.setdefault(group["name"], {**group, "params": []})
                joint["params"] += [p for p in group["params"] if id(p) not in seen]
                seen.update(id(p) for p in group["params"])
        return list(groups.values())

    def plot_occupancies(
        self,
        path: str | os.PathLike[str],
        log_scale: bool = True,
        show_kinetic_states: bool = False,
        figsize: tuple[float, float] | None = None,
        title: str | None = None,
    ) -> None:
        """Plot the occupancies of all experiments on one page, one row each, sharing the time axis.

        Parameters
        ----------
        path, log_scale, show_kinetic_states, title
            As for `occupancies_kinetics.plot_occupancies`.
        figsize : tuple of float, optional
            By default 10 by 3 inches per experiment and one more.
        """
        from torchref_kinetic_plugin.occupancies import figures

        models = dict(zip(self.names, self.models, strict=True))
        figures.plot_experiments(
            models, path, log_scale=log_scale, kinetic_states=show_kinetic_states, figsize=figsize, title=title
        )

    def plot_rate_laws(
        self,
        path: str | os.PathLike[str],
        covariance: NDArray[np.float64] | None = None,
        separate: Mapping[str, Mapping[str, tuple[float, float, float]]] | None = None,
        figsize: tuple[float, float] | None = None,
        title: str | None = None,
    ) -> None:
        """Plot ln(k h / k_B T), or ln k unless all laws are Eyring's, against 1000/T.

        Parameters
        ----------
        path, figsize, title
            As for `plot_occupancies`.
        covariance : ndarray, optional
            (n_refined, n_refined) of the raw parameters of all experiments, in the order of `SecondOrderFit`, as
            estimates of uncertainty have it; gives bars and the bands of 95 %.
        separate : mapping, optional
            Transition to experiment to rate constant per second with the ends of its interval, as refined from this
            experiment alone; by default the points are those of the model.

        Raises
        ------
        ParameterError
            Where no rate constant follows a law.
        ShapeError
            For a covariance of another shape.
        """
        from torchref_kinetic_plugin.occupancies import law_figures

        models = dict(zip(self.names, self.models, strict=True))
        law_figures.plot_rate_laws(models, path, covariance=covariance, separate=separate, figsize=figsize, title=title)

    def state_dict_kinetics(self) -> dict[str, Any]:
        """Everything needed to build this model anew, as plain values and tensors."""
        experiments = []
        shared: dict[str, float] = {}
        for name, model in zip(self.names, self.models, strict=True):
            settings = model.state_dict_kinetics()["settings"]
            del settings["flow_chart"]
            if self._activation_law is not None:
                del settings["activation"]
            levels = {each: p.number for each, p in model.kinetics.network.rate_parameters().items()}
            own = {each: levels.get(each, rate) for each, rate in settings.pop("rate_constants").items()}
            once = {*self.shared_rates, *self.joint.laws}
            shared |= {each: rate for each, rate in own.items() if each in once}
            own = {each: rate for each, rate in own.items() if each not in once and each not in self.joint.back}
            experiments.append({"name": name, **settings, "rate_constants": own, **model.condition.as_table()})
        settings = {
            "flow_chart": self.flow_chart,
            "experiments": experiments,
            "shared_rates": list(self.shared_rates),
            "rate_constants": shared,
            "activation_law": self._activation_law,
            **self._options.as_table(),
        }
        return saved_state.save(type(self).__name__, settings, self)

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
