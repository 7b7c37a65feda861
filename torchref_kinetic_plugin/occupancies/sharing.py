"""One rate constant for several experiments."""

from __future__ import annotations

from collections.abc import Sequence

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter
from torchref_kinetic_plugin.kinetics.priors import LogNormalPrior, Prior
from torchref_kinetic_plugin.occupancies.experiment_tables import geometric_mean, mean
from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics


def share_rate(
    models: Sequence[occupancies_kinetics],
    determining: Sequence[occupancies_kinetics],
    name: str,
    *,
    given_start: bool,
) -> ScalarParameter:
    """Make one parameter object serve a transition in all experiments.

    Parameters
    ----------
    models : sequence of occupancies_kinetics
        All experiments.
    determining : sequence of occupancies_kinetics
        Those with delays that show a rate: they say where it starts and whether it is refined.
    name : str
        The transition.
    given_start : bool
        Whether the user gave the start.

    Raises
    ------
    ParameterError
        Where the experiments contradict each other.
    """
    own = [model.kinetics.network.rate_parameters().get(name) for model in models]
    finite = [parameter for parameter in own if parameter is not None]
    if len(finite) != len(own):
        raise ParameterError(
            f"the shared rate of {name} is inf in some experiments only; an impulse has no rate to share"
        )
    if any(name in model.tied for model in models):
        raise ParameterError(f"{name} is shared and tied to another transition; share that one")
    if len({model.time_unit for model in models}) > 1:
        raise ParameterError(
            f"the rate of {name} is shared by experiments of different time_unit; give all times in one unit"
        )
    if len({parameter.constraint for parameter in finite}) > 1:
        raise ParameterError(f"the experiments give different bounds for the shared rate of {name}")
    telling = [model.kinetics.network.rate_parameters()[name] for model in determining]
    if len({parameter.frozen for parameter in telling}) > 1:
        raise ParameterError(f"the shared rate of {name} is refined in some experiments only")
    first, frozen = finite[0], telling[0].frozen
    first.prior = _agreed_prior(name, [parameter.prior for parameter in finite])
    if not given_start:
        first.set(geometric_mean([parameter.number for parameter in telling]))
    if frozen:
        first.freeze()
    else:
        first.unfreeze()
    for model in models[1:]:
        model.kinetics.network.replace_rate(name, first)
    return first


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
    return LogNormalPrior(lognormal[0].weight, mean([prior.mean for prior in lognormal]), lognormal[0].std)
