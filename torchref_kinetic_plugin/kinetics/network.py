"""From parameters to what propagation needs: the rates and the populations around the trigger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.kinetics.constraints import Unit
from torchref_kinetic_plugin.kinetics.impulses import ImpulseYields
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter, values_of
from torchref_kinetic_plugin.kinetics.priors import Prior
from torchref_kinetic_plugin.kinetics.rates import LogLinearRate, Rate, level_of
from torchref_kinetic_plugin.kinetics.sensitivity import times
from torchref_kinetic_plugin.kinetics.stationary import stationary_populations
from torchref_kinetic_plugin.scheme import Scheme


class RateNetwork(nn.Module):
    """Rates and efficiencies of a scheme as the matrices of its rate equation.

    Parameters
    ----------
    scheme : Scheme
        The mechanism.
    rates : mapping
        Parameter of each finite transition; two transitions may name the same one (a tie), and so may two
        networks (a shared rate).
    factors : mapping
        Factor by which a transition's rate differs from its parameter, where it is not 1.
    efficiencies : mapping
        Efficiency of every transition.
    refined_efficiencies : collection of str
        Those that are refined.
    efficiency_priors : mapping
        Prior on the efficiency of each transition, where there is one.
    initial : Tensor
        Populations (n_states,) before the trigger, or from which they are reached where `start_from` says so.
    """

    _initial: Tensor
    _cells: Tensor
    _factors: Tensor

    def __init__(
        self,
        scheme: Scheme,
        rates: Mapping[str, ScalarParameter],
        factors: Mapping[str, float],
        efficiencies: Mapping[str, float],
        refined_efficiencies: Iterable[str],
        efficiency_priors: Mapping[str, Prior],
        initial: Tensor,
    ) -> None:
        super().__init__()
        self.scheme = scheme
        refined = frozenset(refined_efficiencies)
        self.rates = nn.ModuleDict(dict(rates))
        finite = scheme.finite_steps
        self.efficiencies = nn.ModuleDict(
            {
                step.name: ScalarParameter(
                    f"efficiency of {step.name}",
                    efficiencies[step.name],
                    Unit(),
                    frozen=step.name not in refined,
                    prior=efficiency_priors.get(step.name),
                )
                for step in finite
            }
        )
        names = [step.name for step in scheme.impulses]
        self.impulses = (
            ImpulseYields(
                names,
                {name: efficiencies[name] for name in names},
                refined & set(names),
                {name: prior for name, prior in efficiency_priors.items() if name in names},
            )
            if names
            else None
        )
        n = len(scheme.states)
        # Flat positions in the rate matrix: arrivals, then failures. A failure that returns to where it
        # was is sent to the diagonal, which is cleared.
        cells = [step.target * n + step.source for step in finite]
        cells += [step.ground * n + step.source for step in finite]
        self.register_buffer("_cells", torch.tensor(cells, dtype=torch.long), persistent=False)
        scale = torch.tensor([factors.get(step.name, 1.0) for step in finite], dtype=torch.float64)
        self.register_buffer("_factors", scale, persistent=False)
        self._scaled = bool((scale != 1.0).any())
        self.register_buffer("_initial", initial, persistent=False)
        self.earlier: nn.ModuleDict | None = None

    def all_rates(self) -> dict[str, Rate]:
        """Rate of each finite transition, before the factor of a tie."""
        return _rates_in(self.rates)

    def rate_parameters(self) -> dict[str, ScalarParameter]:
        """Parameter that each finite transition is in proportion to; without those that follow from others."""
        rates = self.all_rates().items()
        return {name: level_of(p) for name, p in rates if not (isinstance(p, LogLinearRate) and p.follows)}

    def refined_rates(self) -> frozenset[str]:
        """Finite transitions whose rate constant refinement changes."""
        return frozenset(name for name, rate in self.all_rates().items() if not rate.frozen)

    def term_parameters(self) -> list[ScalarParameter]:
        """What rates depend on beside their levels: energies, equilibria, deviations; each once."""
        rates = [*self.all_rates().values(), *(_rates_in(self.earlier).values() if self.earlier else ())]
        found = [p for rate in rates if isinstance(rate, LogLinearRate) for p in rate.term_parameters]
        return list({id(p): p for p in found}.values())

    def replace_rate(self, name: str, rate: Rate) -> None:
        """Let a transition, and those tied to it, take their rate from another object."""
        own = self.rates[name]
        for other, present in list(self.rates.items()):
            if present is own:
                self.rates[other] = rate

    def start_from(self, rates: Mapping[str, Rate]) -> None:
        """Let the populations before the trigger be the stationary state of other rates of the finite transitions."""
        self.earlier = nn.ModuleDict({name: rates[name] for name in self.rates})

    @property
    def before(self) -> Tensor:
        """Populations (n_states,) before the trigger, with gradients where they depend on parameters."""
        if self.earlier is None:
            return self._initial
        return self.stationary_state(_rates_in(self.earlier))

    def stationary_state(self, rates: Mapping[str, Rate]) -> Tensor:
        """Populations (n_states,) at t = inf under other rates of the finite transitions."""
        values = torch.stack([rates[name].value for name in self.rates])
        return stationary_populations(self._matrix(values), self._initial)

    def factor(self, name: str) -> float:
        """Rate of a finite transition in units of its `all_rates`; 1 unless it is tied by a factor."""
        return self._factors[list(self.rates).index(name)].item()

    def proportion(self, name: str) -> float:
        """Rate of a finite transition in units of its level, but for what parameters change."""
        rate = self.all_rates()[name]
        return self.factor(name) * (math.exp(rate.log_offset) if isinstance(rate, LogLinearRate) else 1.0)

    def efficiency_parameters(self) -> dict[str, ScalarParameter]:
        """Parameter of the efficiency of each finite transition."""
        return {name: p for name, p in self.efficiencies.items() if isinstance(p, ScalarParameter)}

    def rate_constants(self) -> Tensor:
        """Rate constants (n_finite,) in flow-chart order, with gradients."""
        return self._scaled_by_ties(_values(self.rates)) if len(self.rates) else self._factors

    def _scaled_by_ties(self, values: Tensor) -> Tensor:
        return values * self._factors if self._scaled else values

    def rate_matrix(self) -> Tensor:
        """Off-diagonal rates (n_states, n_states), ``[i, j]`` from j to i, with gradients."""
        return self._matrix(_values(self.rates) if len(self.rates) else self._factors)

    def _matrix(self, values: Tensor) -> Tensor:
        n = len(self.scheme.states)
        flat = self._factors.new_zeros(n * n)
        if len(self.rates):
            rates = self._scaled_by_ties(values)
            raw = torch.stack([p.raw for p in self.efficiency_parameters().values()])
            # Not a product of elements, for the reason that `times` has.
            shares = torch.cat([torch.diag(Unit().value(raw)), torch.diag(Unit().value(-raw))])
            flows = torch.mv(shares, rates)
            flat = flat.index_add(0, self._cells, flows)
        matrix = flat.reshape(n, n)
        return matrix - torch.diag(matrix.diagonal()) if len(self.rates) else matrix

    def after(self, before: Tensor) -> Tensor:
        """Populations (n_states,) just after the trigger from those before it, with gradients."""
        if self.impulses is None:
            return before
        yields, left = self.impulses()
        scheme = self.scheme
        steps = scheme.impulses
        index = [step.target for step in steps] + [steps[0].ground]
        origin = steps[0].source
        excited = before[origin]
        kept = torch.ones_like(before)
        kept[origin] = 0.0
        where = torch.tensor(index, device=before.device)
        return (before * kept).index_add(0, where, times(torch.cat([yields, left.reshape(1)]), excited))


def _rates_in(modules: nn.ModuleDict) -> dict[str, Rate]:
    return {name: rate for name, rate in modules.items() if isinstance(rate, ScalarParameter | LogLinearRate)}


def _values(modules: nn.ModuleDict) -> Tensor:
    """Rate constants (n_finite,) before the factors of ties."""
    rates = _rates_in(modules).values()
    plain = [rate for rate in rates if isinstance(rate, ScalarParameter)]
    if len(plain) == len(modules):
        return values_of(plain)
    return torch.stack([rate.value for rate in rates])
