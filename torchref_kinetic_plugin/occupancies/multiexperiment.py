"""Occupancies of several experiments that share one kinetic mechanism."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.errors import ParameterError, UnknownNameError
from torchref_kinetic_plugin.kinetics.parameters import Float64Module
from torchref_kinetic_plugin.kinetics.priors import LogNormalPrior, Prior
from torchref_kinetic_plugin.kinetics.priors import regularization as sum_of_priors
from torchref_kinetic_plugin.occupancies import saved_state
from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics
from torchref_kinetic_plugin.scheme import parse_flow_chart

#: Options of an experiment: all of the single model's but the mechanism and the verbosity.
_OPTIONS = tuple(
    name for name in inspect.signature(occupancies_kinetics).parameters if name not in ("flow_chart", "verbose")
)


class occupancies_kinetics_multiexperiment(Float64Module):
    """One scheme, several experiments, rate constants shared as asked.

    Parameters
    ----------
    flow_chart : str
        The scheme of all experiments.
    experiments : sequence of mapping
        Each with ``time``, ``rate_constants`` (or None), ``name``, and any option of
        `occupancies_kinetics`.
    shared_rates : sequence of str, optional
        Transitions whose rate constant is one parameter of all experiments. None: each has its own.
    verbose : int
        As for `occupancies_kinetics`.

    Attributes
    ----------
    kinetic_models : nn.ModuleList
        The model of each experiment; a shared rate is the same parameter object in all of them.
    names : tuple of str
        Names of the experiments.

    Raises
    ------
    InputError
        One of its kinds, for what the single model refuses, unknown keys, two experiments of one name, or
        a shared rate that experiments start, bound, tie or restrain differently.
    """

    def __init__(
        self,
        flow_chart: str,
        experiments: Sequence[Mapping[str, Any]],
        shared_rates: Sequence[str] | None = None,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        self.flow_chart = parse_flow_chart(flow_chart).text
        self.names = _names(experiments)
        self.shared_rates = () if shared_rates is None else _shared(flow_chart, shared_rates)
        starts = _agreed_starts(experiments, self.names, self.shared_rates)
        models = []
        for experiment in experiments:
            settings = {key: value for key, value in experiment.items() if key != "name"}
            given = settings.pop("rate_constants", None)
            rates = dict(given or {}) | starts
            models.append(occupancies_kinetics(flow_chart, rate_constants=rates or None, verbose=verbose, **settings))
        self.kinetic_models = nn.ModuleList(models)
        self.n_experiments = len(models)
        self.verbose = verbose
        for name in self.shared_rates:
            self._share(name, given_start=name in starts)

    def _model(self, experiment_idx: int) -> occupancies_kinetics:
        if isinstance(experiment_idx, bool) or experiment_idx not in range(self.n_experiments):
            raise ParameterError(
                f"experiment_idx = {experiment_idx!r}: there are {self.n_experiments} experiments, "
                f"0 to {self.n_experiments - 1}"
            )
        model = self.kinetic_models[experiment_idx]
        assert isinstance(model, occupancies_kinetics)
        return model

    @property
    def models(self) -> tuple[occupancies_kinetics, ...]:
        """The model of each experiment."""
        return tuple(self._model(number) for number in range(self.n_experiments))

    def _share(self, name: str, *, given_start: bool) -> None:
        """Make one parameter object serve a transition in all experiments."""
        own = [model.kinetics.network.rate_parameters().get(name) for model in self.models]
        finite = [parameter for parameter in own if parameter is not None]
        if len(finite) != len(own):
            raise ParameterError(
                f"the shared rate of {name} is inf in some experiments only; an impulse has no rate to share"
            )
        if any(name in model.tied for model in self.models):
            raise ParameterError(f"{name} is shared and tied to another transition; share that one")
        if len({model.time_unit for model in self.models}) > 1:
            raise ParameterError(
                f"the rate of {name} is shared by experiments of different time_unit; give all times in one unit"
            )
        first = finite[0]
        if len({parameter.constraint for parameter in finite}) > 1:
            raise ParameterError(f"the experiments give different bounds for the shared rate of {name}")
        if len({parameter.frozen for parameter in finite}) > 1:
            raise ParameterError(f"the shared rate of {name} is refined in some experiments only")
        first.prior = _agreed_prior(name, [parameter.prior for parameter in finite])
        if not given_start:
            first.set(math.exp(sum(math.log(p.number) for p in finite) / len(finite)))
        for model in self.models[1:]:
            model.kinetics.network.replace_rate(name, first)

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

    def get_rate_constants(self) -> dict[str, dict[str, float]]:
        """Rate constants of each experiment, by its name."""
        return {name: model.get_rate_constants() for name, model in zip(self.names, self.models, strict=True)}

    def set_rate_constant(self, transition: str, value: float, experiment_idx: int | None = None) -> None:
        """Set a rate constant in one experiment, or in all; a shared one changes everywhere."""
        for model in self.models if experiment_idx is None else (self._model(experiment_idx),):
            model.set_rate_constant(transition, value)

    def freeze_rates(self, transitions: Iterable[str] | None = None, experiment_idx: int | None = None) -> None:
        """Leave rate constants out of refinement, in one experiment or in all."""
        for model in self.models if experiment_idx is None else (self._model(experiment_idx),):
            model.freeze_rates(transitions)

    def unfreeze_rates(self, transitions: Iterable[str] | None = None, experiment_idx: int | None = None) -> None:
        """Refine rate constants, in one experiment or in all."""
        for model in self.models if experiment_idx is None else (self._model(experiment_idx),):
            model.unfreeze_rates(transitions)

    def print_parameters(self) -> None:
        """Print the parameters of each experiment."""
        for name, model in zip(self.names, self.models, strict=True):
            print(f"Experiment {name}")
            model.print_parameters()

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

        figures.plot_experiments(
            self, path, log_scale=log_scale, kinetic_states=show_kinetic_states, figsize=figsize, title=title
        )

    def state_dict_kinetics(self) -> dict[str, Any]:
        """Everything needed to build this model anew, as plain values and tensors."""
        experiments = [
            {"name": name, **model.state_dict_kinetics()["settings"]}
            for name, model in zip(self.names, self.models, strict=True)
        ]
        for experiment in experiments:
            del experiment["flow_chart"]
        settings = {
            "flow_chart": self.flow_chart,
            "experiments": experiments,
            "shared_rates": list(self.shared_rates),
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


def _names(experiments: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    if isinstance(experiments, Mapping) or not len(experiments):
        raise ParameterError("experiments is a list of tables, one for each experiment; at least one is needed")
    names = []
    for number, experiment in enumerate(experiments):
        if not isinstance(experiment, Mapping):
            raise ParameterError(f"experiment {number} is a table with time and name, not {experiment!r}")
        name = str(experiment.get("name", f"experiment {number}"))
        for key in experiment:
            if key not in (*_OPTIONS, "name"):
                raise UnknownNameError("key", key, ("name", *_OPTIONS), f"experiment {name!r}")
        if "time" not in experiment:
            raise ParameterError(f"experiment {name!r} has no time")
        if name in names:
            raise ParameterError(f"two experiments are named {name!r}; names tell them apart in tables and files")
        names.append(name)
    return tuple(names)


def _shared(flow_chart: str, shared_rates: Sequence[str]) -> tuple[str, ...]:
    allowed = [step.name for step in parse_flow_chart(flow_chart).transitions]
    if isinstance(shared_rates, str):
        raise ParameterError(f"shared_rates is a list of transitions; write [{shared_rates!r}]")
    for name in shared_rates:
        if name not in allowed:
            raise UnknownNameError("transition", name, allowed, "shared_rates")
    return tuple(dict.fromkeys(shared_rates))


def _agreed_starts(
    experiments: Sequence[Mapping[str, Any]], names: Sequence[str], shared: Sequence[str]
) -> dict[str, Any]:
    """Starting value of each shared rate that some experiment gives; all that give one must agree."""
    starts: dict[str, Any] = {}
    for transition in shared:
        given = {
            name: rates[transition]
            for name, experiment in zip(names, experiments, strict=True)
            if transition in (rates := experiment.get("rate_constants") or {})
        }
        if len(set(given.values())) > 1:
            listed = ", ".join(f"{value!r} in {name}" for name, value in given.items())
            raise ParameterError(f"the shared rate of {transition} is one number, but starts as {listed}")
        if given:
            starts[transition] = next(iter(given.values()))
    return starts


def _agreed_prior(name: str, priors: Sequence[Prior | None]) -> Prior | None:
    """One prior for a shared rate: the experiments', whose means may differ with their time ranges."""
    lognormal = [prior for prior in priors if isinstance(prior, LogNormalPrior)]
    if not lognormal:
        return None
    kinds = {(prior.weight, prior.std) for prior in lognormal}
    if len(lognormal) != len(priors) or len(kinds) > 1:
        raise ParameterError(
            f"the experiments restrain the shared rate of {name} differently; give rate_prior_weight and "
            "rate_prior_std alike in all of them"
        )
    mean = float(torch.tensor([prior.mean for prior in lognormal], dtype=torch.float64).mean())
    return LogNormalPrior(lognormal[0].weight, mean, lognormal[0].std)
