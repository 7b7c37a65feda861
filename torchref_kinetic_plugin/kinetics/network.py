"""From parameters to what propagation needs: the rates and the populations around the trigger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.kinetics.constraints import Unit
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter, as_number, values_of
from torchref_kinetic_plugin.kinetics.priors import Prior, Restrained
from torchref_kinetic_plugin.scheme import Scheme

#: Rounding allowed when given efficiencies or populations must sum to 1.
SUM_TOLERANCE = 1e-9


class ImpulseYields(Restrained):
    """Efficiencies of the transitions that act once, at the trigger.

    Their sum is at most 1 by construction: the frozen ones keep their values, and each refined one, in
    flow-chart order, is a share (logit) of what those before it have left. A single refined exit beside
    no frozen one is plain logit.

    Parameters
    ----------
    names : sequence of str
        The transitions.
    values : mapping
        Efficiency of each.
    refined : collection of str
        Those that are refined.
    priors : mapping
        Prior on the efficiency of each, where there is one.
    """

    def __init__(
        self,
        names: Iterable[str],
        values: Mapping[str, float],
        refined: Iterable[str],
        priors: Mapping[str, Prior],
    ) -> None:
        super().__init__()
        self.shares = nn.ModuleDict(
            {name: ScalarParameter(f"efficiency of {name}", values[name], Unit(), frozen=True) for name in names}
        )
        self.priors = dict(priors)
        self.encode(dict(values), frozenset(refined))

    def _share(self, name: str) -> ScalarParameter:
        share = self.shares[name]
        assert isinstance(share, ScalarParameter)
        return share

    @property
    def refined(self) -> frozenset[str]:
        """Names of the transitions whose efficiency is refined."""
        return frozenset(name for name in self.shares if not self._share(name).frozen)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Efficiencies (n_impulses,) in flow-chart order, and the fraction that no impulse takes."""
        left = 1.0 - sum(
            (self._share(name).value for name in self.shares if self._share(name).frozen),
            start=torch.zeros((), dtype=torch.float64, device=next(self.parameters()).device),
        )
        # Frozen efficiencies may sum to 1 plus rounding; nothing negative may be left of that.
        left = left.clamp(min=0.0)
        taken = []
        for name in self.shares:
            share = self._share(name)
            if share.frozen:
                taken.append(share.value)
            else:
                taken.append(left * share.value)
                left = left * Unit().value(-share.raw)
        return torch.stack(taken), left

    def values(self) -> dict[str, float]:
        """Present efficiencies."""
        with torch.no_grad():
            return dict(zip(self.shares, self()[0].tolist(), strict=True))

    def encode(self, values: Mapping[str, float], refined: frozenset[str]) -> None:
        """Take over efficiencies and which of them are refined.

        Raises
        ------
        ParameterError
            When one is outside [0, 1], they sum to over 1, or a refined one is at the end of its range.
        """
        numbers = {name: as_number(values[name], f"efficiency of {name}") for name in self.shares}
        for name, number in numbers.items():
            if problem := Unit().problem(number):
                raise ParameterError(f"efficiency of {name} = {number:g}: {problem}")
        total = sum(numbers.values())
        if total > 1.0 + SUM_TOLERANCE:
            listed = ", ".join(f"{name} {number:g}" for name, number in numbers.items())
            raise ParameterError(
                f"efficiencies out of one state through inf rates sum to {total:g} ({listed}); they share the "
                "molecules of that state, so the sum must be at most 1"
            )
        left = 1.0 - sum(number for name, number in numbers.items() if name not in refined)
        shares = {}
        for name, number in numbers.items():
            if name in refined:
                shares[name] = min(number / left, 1.0) if left > 0.0 else 1.0
                left -= number
                if not 0.0 < shares[name] < 1.0 - 1e-15:
                    raise ParameterError(
                        f"efficiency of {name} = {number:g} cannot be refined: at the end of its range every "
                        "gradient vanishes (its range ends where all efficiencies sum to 1); start inside"
                    )
            else:
                shares[name] = number
        for name, number in shares.items():
            self._share(name).freeze()
            self._share(name).set(number)
            if name in refined:
                self._share(name).unfreeze()

    def restraint(self) -> Tensor | None:
        """Penalty of the priors on the efficiencies themselves, not on their shares."""
        if not self.priors:
            return None
        efficiencies = dict(zip(self.shares, self()[0], strict=True))
        return torch.stack([prior.loss(efficiencies[name]) for name, prior in self.priors.items()]).sum()


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
    before : Tensor
        Populations (n_states,) before the trigger.
    """

    before: Tensor
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
        before: Tensor,
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
        self.register_buffer("before", before, persistent=False)

    def rate_parameters(self) -> dict[str, ScalarParameter]:
        """Parameter of each finite transition."""
        return {name: p for name, p in self.rates.items() if isinstance(p, ScalarParameter)}

    def replace_rate(self, name: str, parameter: ScalarParameter) -> None:
        """Let a transition, and those tied to it, take their rate from another parameter object."""
        own = self.rates[name]
        for other, present in list(self.rates.items()):
            if present is own:
                self.rates[other] = parameter

    def factor(self, name: str) -> float:
        """Rate of a finite transition in units of its parameter; 1 unless it is tied by a factor."""
        return self._factors[list(self.rates).index(name)].item()

    def efficiency_parameters(self) -> dict[str, ScalarParameter]:
        """Parameter of the efficiency of each finite transition."""
        return {name: p for name, p in self.efficiencies.items() if isinstance(p, ScalarParameter)}

    def rate_constants(self) -> Tensor:
        """Rate constants (n_finite,) in flow-chart order, with gradients."""
        if not len(self.rates):
            return self._factors
        values = values_of(list(self.rate_parameters().values()))
        return values * self._factors if self._scaled else values

    def rate_matrix(self) -> Tensor:
        """Off-diagonal rates (n_states, n_states), ``[i, j]`` from j to i, with gradients."""
        n = len(self.scheme.states)
        flat = self._factors.new_zeros(n * n)
        if len(self.rates):
            rates = self.rate_constants()
            raw = torch.stack([p.raw for p in self.efficiency_parameters().values()])
            flows = torch.cat([rates * Unit().value(raw), rates * Unit().value(-raw)])
            flat = flat.index_add(0, self._cells, flows)
        matrix = flat.reshape(n, n)
        return matrix - torch.diag(matrix.diagonal()) if len(self.rates) else matrix

    def after(self) -> Tensor:
        """Populations (n_states,) just after the trigger, with gradients."""
        if self.impulses is None:
            return self.before
        yields, left = self.impulses()
        scheme = self.scheme
        steps = scheme.impulses
        index = [step.target for step in steps] + [steps[0].ground]
        origin = steps[0].source
        excited = self.before[origin]
        kept = torch.ones_like(self.before)
        kept[origin] = 0.0
        where = torch.tensor(index, device=self.before.device)
        return (self.before * kept).index_add(0, where, excited * torch.cat([yields, left.reshape(1)]))
