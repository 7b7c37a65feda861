"""Whether what a provider built keeps to the contract; every error names the plugin."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.plugins.plugin_errors import OccupancyError, cause_of
from torchref_kinetic_plugin.plugins.provider import KnowsReference

_METHODS = ("forward", "get_regularization_loss", "get_parameter_groups")


def require_valid_occupancies(
    module: object, n_structures: int, n_timepoints: int, provider: str, plugin: str
) -> Tensor:
    """Refuse a module that is none, lacks a method, or gives occupancies that are none.

    Parameters
    ----------
    module : object
        What the provider built for one experiment.
    n_structures, n_timepoints : int
        Wanted shape of the occupancies.
    provider, plugin : str
        Names for the message.

    Returns
    -------
    Tensor
        The occupancies (n_structures, n_timepoints), with their gradients.

    Raises
    ------
    OccupancyError
        Naming the plugin, the provider and what is wrong.
    """

    def refuse(problem: str, cause: Exception | None = None) -> OccupancyError:
        error = OccupancyError(plugin, f"provider {provider!r}: {problem}")
        error.__cause__ = cause
        return error

    if not isinstance(module, nn.Module):
        raise refuse(f"its factory gives {_kind(module)} where an nn.Module is wanted")
    # nn.Module answers forward itself, with a function that only raises.
    missing = [name for name in _METHODS if not callable(getattr(module, name, None))]
    if type(module).forward is nn.Module.forward:
        missing.insert(0, "forward")
    if missing:
        raise refuse(f"{type(module).__name__} has no method {', '.join(f'{name}()' for name in missing)}")
    try:
        occupancies = module()
    except Exception as error:  # whatever a plugin raises is reported as the plugin's
        raise refuse(f"forward() failed with {cause_of(error)}", error) from error
    if not isinstance(occupancies, Tensor):
        raise refuse(f"forward() gives {_kind(occupancies)} where a tensor is wanted")
    if not occupancies.dtype.is_floating_point:
        raise refuse(f"forward() gives a tensor of {occupancies.dtype}; floating point is wanted")
    if tuple(occupancies.shape) != (n_structures, n_timepoints):
        raise refuse(
            f"occupancies have shape {tuple(occupancies.shape)}; (n_structures, n_timepoints) = "
            f"{(n_structures, n_timepoints)} is wanted"
        )
    if problem := _bad_value(occupancies.detach()):
        raise refuse(problem)
    return occupancies


def require_valid_reference(module: KnowsReference, n_structures: int, provider: str, plugin: str) -> None:
    """Refuse occupancies of the references that are none.

    Raises
    ------
    OccupancyError
        Naming the plugin, the provider and what is wrong.
    """
    try:
        occupancies: object = module.reference_occupancies()
    except Exception as error:  # whatever a plugin raises is reported as the plugin's
        problem = f"reference_occupancies() failed with {cause_of(error)}"
        raise OccupancyError(plugin, f"provider {provider!r}: {problem}") from error
    if not isinstance(occupancies, Tensor) or not occupancies.dtype.is_floating_point:
        problem = f"reference_occupancies() gives {_kind(occupancies)} where a tensor of floating point is wanted"
    elif tuple(occupancies.shape) != (n_structures,):
        problem = f"reference_occupancies() have shape {tuple(occupancies.shape)}; ({n_structures},) is wanted"
    else:
        bad = _bad_value(occupancies.detach().unsqueeze(1))
        if bad is None:
            return
        problem = f"reference_occupancies(), as of one timepoint: {bad}"
    raise OccupancyError(plugin, f"provider {provider!r}: {problem}")


def _bad_value(occupancies: Tensor) -> str | None:
    """Say which occupancy is not one, or None."""
    # Half the digits of the dtype: rounding never reaches it, a mistake in a formula does.
    tolerance = torch.finfo(occupancies.dtype).eps ** 0.5
    values = occupancies.to(torch.float64)
    for bad, what in (
        (~torch.isfinite(values), "is not a finite number"),
        (values < -tolerance, "is negative"),
        (values > 1.0 + tolerance, "is above 1"),
    ):
        if bool(bad.any()):
            structure, timepoint = torch.nonzero(bad)[0].tolist()
            return (
                f"the occupancy of structure {structure} at timepoint {timepoint} "
                f"(both from 0) {what}: {values[structure, timepoint].item():g}"
            )
    sums = values.sum(dim=0)
    off = (sums - 1.0).abs() > tolerance * len(values)
    if bool(off.any()):
        timepoint = int(torch.nonzero(off)[0])
        return f"the occupancies at timepoint {timepoint} (from 0) sum to {sums[timepoint].item():g}; 1 is wanted"
    return None


def require_valid_groups(module: nn.Module, base_lr: float, provider: str, plugin: str) -> list[dict[str, Any]]:
    """Ask for the optimizer groups and refuse those that forget or repeat a parameter.

    Raises
    ------
    OccupancyError
        Naming the parameter that would not be refined, or would be stepped twice.
    """
    method: Any = module.get_parameter_groups
    groups: Any = method(base_lr)

    def refuse(problem: str) -> OccupancyError:
        return OccupancyError(plugin, f"provider {provider!r}: get_parameter_groups() {problem}")

    if not isinstance(groups, list) or not all(
        isinstance(group, dict) and {"params", "lr", "name"} <= set(group) for group in groups
    ):
        raise refuse("must give a list of tables with params, lr and name")
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and id(parameter) not in grouped:
            raise refuse(f"leaves out {name}, which would never be refined")
        if grouped.count(id(parameter)) > 1:
            raise refuse(f"lists {name} twice")
    own = {id(parameter) for parameter in module.parameters()}
    if any(parameter not in own for parameter in grouped):
        raise refuse("lists a parameter that is not the module's own: it would be missing from a saved state")
    checked: list[dict[str, Any]] = groups
    return checked


def require_valid_regularization(module: nn.Module, provider: str, plugin: str) -> Tensor:
    """Ask for the regularization and refuse what is not a finite scalar.

    Raises
    ------
    OccupancyError
        Naming the plugin.
    """
    method: Any = module.get_regularization_loss
    loss = method()
    if not isinstance(loss, Tensor) or loss.dim() != 0 or not bool(torch.isfinite(loss.detach())):
        raise OccupancyError(
            plugin, f"provider {provider!r}: get_regularization_loss() must give a finite scalar tensor, not {loss!r}"
        )
    return loss


def _kind(value: object) -> str:
    return f"{type(value).__name__} ({value!r:.60})" if value is not None else "None"
