"""The contract of occupancy providers as tests, for authors of plugins.

    from torchref_kinetic_plugin.plugins.contract import check_provider

    def test_contract():
        check_provider(my_provider, {"key": "value"})

Every function raises `AssertionError` with a message that says what to mend; any test runner will do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from torchref_kinetic_plugin.plugins.plugin_errors import OccupancyError
from torchref_kinetic_plugin.plugins.provider import ExperimentSchedule, OccupancyProvider
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies

#: Unsorted, negative and repeated delays, which all occur; and an experiment with a single one, in another unit.
EXPERIMENTS = (
    ExperimentSchedule("first", (3e-6, -1e-7, 1e-7, 1e-7, 2e-5), "us", 280.0),
    ExperimentSchedule("second", (4e-6,), "ns", 300.0),
)
#: Longest step that parameters are moved by: far from their start, within what a refinement may do.
_STEP = 0.2


def check_provider(
    provider: OccupancyProvider,
    settings: Mapping[str, Any] | BaseModel | None,
    n_structures: int = 3,
    *,
    structure_names: Sequence[str] | None = None,
    experiments: Sequence[ExperimentSchedule] = EXPERIMENTS,
    seed: int = 1,
) -> None:
    """Run all checks of the contract.

    Parameters
    ----------
    provider : OccupancyProvider
        The provider under test.
    settings : mapping, BaseModel or None
        Its section of the refinement file, or its settings.
    n_structures : int
        Number of structures, where no names are given.
    structure_names : sequence of str, optional
        Their names; by default ``structure_0`` and so on.
    experiments : sequence of ExperimentSchedule
        Experiments to build for.
    seed : int
        Seed to build with.

    Raises
    ------
    AssertionError
        For the first part of the contract that is broken.
    """
    names = tuple(structure_names or (f"structure_{number}" for number in range(n_structures)))
    read = settings if isinstance(settings, BaseModel) else provider.read_settings(settings)

    def build() -> SeriesOccupancies:
        modules = provider.factory(read, experiments, names, seed)
        try:
            return SeriesOccupancies(modules, experiments, len(names), provider, "the plugin under test")
        except OccupancyError as error:
            raise AssertionError(str(error)) from error

    assert provider.description.strip(), f"provider {provider.name!r} has no description"
    series = build()
    check_occupancies(series, len(names), experiments)
    check_deterministic(series, build())
    check_regularization(series)
    check_parameter_groups(series)
    check_gradients(series)
    check_movement(series)
    check_occupancies(series, len(names), experiments)
    check_state(series, build())
    check_dtype(series)


def check_occupancies(series: SeriesOccupancies, n_structures: int, experiments: Sequence[ExperimentSchedule]) -> None:
    """Occupancies have the wanted shape, lie in [0, 1] and sum to 1."""
    for name, occupancies, experiment in zip(series.names, series(), experiments, strict=True):
        wanted = (n_structures, len(experiment.times))
        assert tuple(occupancies.shape) == wanted, f"{name}: occupancies have shape {tuple(occupancies.shape)}"
        values = occupancies.detach().to(torch.float64)
        assert bool(torch.isfinite(values).all()), f"{name}: occupancies that are not finite: {values}"
        tolerance = torch.finfo(occupancies.dtype).eps ** 0.5
        assert bool(((values > -tolerance) & (values < 1.0 + tolerance)).all()), f"{name}: outside [0, 1]: {values}"
        off = (values.sum(dim=0) - 1.0).abs().max().item()
        assert off < tolerance * n_structures, f"{name}: occupancies miss a sum of 1 by {off:g}"


def check_deterministic(first: SeriesOccupancies, second: SeriesOccupancies) -> None:
    """The same seed builds the same module, and asking twice gives the same answer."""
    for name, a, again, b in zip(first.names, first(), first(), second(), strict=True):
        assert torch.equal(a, again), f"{name}: forward() gives other occupancies when called again"
        assert torch.equal(a, b), f"{name}: the same settings and seed build a module with other occupancies"


def check_regularization(series: SeriesOccupancies) -> None:
    """The regularization is a finite scalar."""
    for name, module in zip(series.names, series.modules_by_experiment, strict=True):
        method: Any = module.get_regularization_loss
        loss = method()
        assert isinstance(loss, Tensor), f"{name}: get_regularization_loss() gives {type(loss).__name__}"
        assert loss.dim() == 0, f"{name}: get_regularization_loss() has shape {tuple(loss.shape)}, not a scalar"
        assert bool(torch.isfinite(loss.detach())), f"{name}: get_regularization_loss() is {loss.item()}"


def check_parameter_groups(series: SeriesOccupancies, base_lr: float = 0.01) -> None:
    """Groups hold every refined parameter once, with a learning rate that follows the base."""
    groups, doubled = series.get_parameter_groups(base_lr), series.get_parameter_groups(2.0 * base_lr)
    listed = [parameter for group in groups for parameter in group["params"]]
    assert len(listed) == len({id(p) for p in listed}), "a parameter stands in two groups"
    for name, parameter in series.named_parameters():
        held = any(parameter is other for other in listed)
        assert held or not parameter.requires_grad, f"{name} is refined but stands in no group"
    for group, other in zip(groups, doubled, strict=True):
        ratio = other["lr"] / group["lr"]
        assert abs(ratio - 2.0) < 1e-6, f"the learning rate of group {group['name']!r} does not follow base_lr"


def check_gradients(series: SeriesOccupancies) -> None:
    """Occupancies and regularization together reach every refined parameter with a finite gradient."""
    refined = {name: parameter for name, parameter in series.named_parameters() if parameter.requires_grad}
    if not refined:
        return
    generator = torch.Generator().manual_seed(0)
    loss = series.get_regularization_loss()
    for occupancies in series():
        # Any weights will do but equal ones: occupancies sum to 1, and their sum has no gradient.
        weights = torch.rand(occupancies.shape, generator=generator, dtype=torch.float64)
        loss = loss + (weights * occupancies).sum()
    gradients = torch.autograd.grad(loss, list(refined.values()), allow_unused=True)
    for name, gradient in zip(refined, gradients, strict=True):
        assert gradient is not None, f"no gradient reaches {name}: was it detached, or is it not used?"
        assert bool(torch.isfinite(gradient).all()), f"the gradient of {name} is not finite: {gradient}"
        assert bool((gradient != 0.0).any()), f"the gradient of {name} is zero: is it a parameter at all?"


def check_movement(series: SeriesOccupancies) -> None:
    """Occupancies follow the parameters: every entry is moved by a step of its own, as a refinement would.

    The parameters stay where they were moved to, so that later checks are made away from the start.
    """
    before = [occupancies.detach().clone() for occupancies in series()]
    refined = [parameter for parameter in series.parameters() if parameter.requires_grad]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in refined:
            step = 2.0 * torch.rand(parameter.shape, generator=generator, dtype=torch.float64) - 1.0
            parameter.add_((_STEP * step).to(parameter))
    same = all(torch.equal(a, b) for a, b in zip(before, series(), strict=True))
    assert not (refined and same), "moved parameters leave the occupancies as they were: are they kept from before?"


def check_state(series: SeriesOccupancies, fresh: SeriesOccupancies) -> None:
    """A fresh module that loads a state gives the occupancies of the module that saved it."""
    problem = fresh.load_state_dict(series.state_dict(), strict=False)
    assert not problem.missing_keys, f"the saved state lacks {problem.missing_keys}"
    assert not problem.unexpected_keys, f"the saved state has unknown {problem.unexpected_keys}"
    for name, saved, loaded in zip(series.names, series(), fresh(), strict=True):
        assert torch.equal(saved, loaded), f"{name}: a loaded state gives other occupancies"


def check_dtype(series: SeriesOccupancies) -> None:
    """Occupancies are float64, or become so; a run in float32 does not break them."""
    for dtype in (torch.float32, torch.float64):
        for name, occupancies in zip(series.names, series.to(dtype)(), strict=True):
            assert occupancies.dtype in (dtype, torch.float64), f"{name}: {occupancies.dtype} after .to({dtype})"
            assert bool(torch.isfinite(occupancies.detach()).all()), f"{name}: not finite after .to({dtype})"
