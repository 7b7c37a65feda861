"""Efficiencies of the transitions that act once, at the trigger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.kinetics.constraints import Unit
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter, as_number
from torchref_kinetic_plugin.kinetics.priors import Prior, Restrained
from torchref_kinetic_plugin.kinetics.sensitivity import times

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
                taken.append(times(share.value, left))
                left = times(Unit().value(-share.raw), left)
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
