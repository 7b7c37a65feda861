"""Where a kinetic fit is, and the moves it can make: towards the amplitudes, to the best error model, one step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from torchref_kinetic_plugin.errors import ScalingError
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.refinement.amplitude_form import amplitude_form
from torchref_kinetic_plugin.refinement.curvature import MOST_DATASETS, Curvature, full_curvature
from torchref_kinetic_plugin.refinement.error_model import SMALL_CHANGE, settle_error_model
from torchref_kinetic_plugin.refinement.experiment import Evaluation, ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.joint_variables import Occupancies
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm

#: Rounds of the scales before the occupancies move.
_SCALE_ROUNDS = 2
#: Change of the error model's coefficients that is none as long as their designs still change.
_ROUGH_CHANGE = 0.2
#: Gradient at which a search on the quadratic form ends: far below what a step of the fit leaves.
_SEARCH_TOLERANCE = 0.1
#: Gain of a step below which the best parameters are so near that the next step needs no search.
_NEAR = 100.0
#: Halvings of a step that made things worse before the fit gives up on it.
MAX_HALVINGS = 8
#: Products of scores overstate the curvature far from the best point, where scores are large because they are not yet
#: 0: by how much at most a step may lower the fraction of it that is believed, and how far.
_FASTEST_FALL = 0.25
_LEAST_CURVATURE = 0.1
#: Steps whose changes of the gradient correct the curvature.
_REMEMBERED = 3


@final
@dataclass(frozen=True, eq=False)
class Proposal:
    """A step that the quadratic forms suggest.

    Attributes
    ----------
    forms : list of QuadraticForm
        Of each experiment.
    search : SecondOrderFit
        Sets and reads the provider's raw parameters.
    target : ndarray
        (n_refined,), the best ones for the forms.
    gain : float
        Log-likelihood that the step promises.
    costs : tuple of float
        What each start reached.
    """

    forms: list[QuadraticForm]
    search: SecondOrderFit
    target: Floats
    gain: float
    costs: tuple[float, ...]


@final
class FitState:
    """Where a fit is: parameters in the provider, nuisances in the models, and the evaluation there.

    Arguments as of `fit_kinetics`; ``curvatures``, where they are known about the region of the fit, stand in for the
    products of scores.
    """

    def __init__(
        self,
        models: Sequence[ExperimentModel],
        provider: Occupancies,
        *,
        refine_provider: bool,
        refine_scale: bool,
        refine_errors: bool = True,
        curvatures: Sequence[Curvature] | None = None,
    ) -> None:
        self.models = list(models)
        self.provider = provider
        self.refine_provider = refine_provider
        self.refine_scale = refine_scale
        self.refine_errors = refine_errors
        self.curvatures = curvatures
        self._taken = False
        self.evaluations: list[Evaluation] = []
        self._curvature = 1.0
        self._last_gain = math.inf
        self._forget_steps()

    @property
    def work(self) -> float:
        """Log-likelihood of the work reflections."""
        return sum(each.work for each in self.evaluations)

    @property
    def free(self) -> float:
        """Log-likelihood of the free reflections."""
        return sum(each.free for each in self.evaluations)

    @property
    def regularization(self) -> float:
        """Of the provider."""
        return float(self.provider.get_regularization_loss().detach())

    @property
    def objective(self) -> float:
        """What a step lowers."""
        return self.regularization - self.work

    @property
    def occupancies_move(self) -> bool:
        """Whether there is anything to refine but scales."""
        return self._search([]).size > 0

    @property
    def trusts_curvature(self) -> bool:
        """Whether steps are as long as the quadratic forms suggest, and these are of products of scores."""
        return self._curvature == 1.0 and not self._taken

    @torch.no_grad()
    def take_curvature(self) -> None:
        """Let the curvature itself, as it is here, stand in for products of scores, unless that costs too much."""
        if max(len(model.data.datasets) for model in self.models) > MOST_DATASETS:
            return
        found = [full_curvature(model, each) for model, each in zip(self.models, self.provider(), strict=True)]
        if all(np.linalg.eigvalsh(each.scales)[0] > 0.0 for each in found):
            self.curvatures, self._taken, self._curvature = found, True, 1.0
            self._forget_steps()

    @torch.no_grad()
    def _evaluate(self) -> list[Evaluation]:
        return [model.evaluate(values) for model, values in zip(self.models, self.provider(), strict=True)]

    def approach(self, n_starts: int, seed: int) -> Proposal:
        """Go where least squares on amplitudes lead, from several starts."""
        with torch.no_grad():
            values = self.provider()
        forms = [amplitude_form(model, each) for model, each in zip(self.models, values, strict=True)]
        _require_finite(*(each for form in forms for each in (form.by_occupancies, form.by_scales)))
        search = self._search(forms)
        cost_here = search.terms(search.get())[0]
        minima = search.minimize(n_starts, seed, gradient_tolerance=_SEARCH_TOLERANCE)
        if self.refine_scale:
            self._move_scales([model.nuisances.scale for model in self.models], self._scale_steps(forms), 1.0)
        # What the sigmas' model depends on contains the error's variance, found here first, and roughly to begin with.
        for small in (_ROUGH_CHANGE, SMALL_CHANGE):
            self._settle_nuisances(small)
            self._refresh_designs()
        self.begin()
        return Proposal(forms, search, minima.raw, cost_here - minima.cost, minima.costs)

    def begin(self) -> None:
        """Evaluate the likelihood where parameters and nuisances are now, however they came there."""
        self.evaluations = self._evaluate()
        _require_finite(np.array(self.work))

    def _search(self, forms: list[QuadraticForm]) -> SecondOrderFit:
        """The provider's parameters, none where it is not refined, against the quadratic forms."""
        modules = list(self.provider.modules_by_experiment) if self.refine_provider else []
        targets = [form.eliminated(self.refine_scale) for form in forms] if modules else []
        return SecondOrderFit(modules, targets, regularization_weight=self.provider.regularization_weight)

    def settle_errors(self) -> float:
        """Fit the error model at the present occupancies and scales; return how far it moved."""
        if not self.refine_errors:
            return 0.0
        before = [model.nuisances.copy() for model in self.models]
        moved = self._settle_nuisances()
        if moved < SMALL_CHANGE:
            # Not worth an evaluation of all reflections.
            for model, old in zip(self.models, before, strict=True):
                model.nuisances = old
            return moved
        self.evaluations = self._evaluate()
        self._forget_steps()
        return moved

    @torch.no_grad()
    def _settle_nuisances(self, small: float = SMALL_CHANGE) -> float:
        """The same, without evaluating the likelihood afterwards."""
        if not self.refine_errors:
            return 0.0
        values = self.provider()
        return max(settle_error_model(model, each, small) for model, each in zip(self.models, values, strict=True))

    def settle_scales(self) -> None:
        """Fit scales and error model to each other at the occupancies as they are, before the objective is compared."""
        self._settle_nuisances()
        self.begin()
        if not self.refine_errors:
            return
        for _ in range(_SCALE_ROUNDS):
            if self.refine_scale:
                before, start = [model.nuisances.scale for model in self.models], self.objective
                moves = self._scale_steps(self._forms())
                self._move_scales(before, moves, 1.0)
                self.evaluations = self._evaluate()
                if not self.objective <= start:
                    # What the form promised was too far away; the steps of the fit are shortened where need be.
                    self._move_scales(before, moves, 0.0)
            self._refresh_designs()
            if self.settle_errors() < SMALL_CHANGE:
                self.evaluations = self._evaluate()

    def proposal(self, n_starts: int, seed: int) -> Proposal:
        """Where the quadratic forms here have their best parameters."""
        forms = self._forms()
        gain = 0.0
        costs: tuple[float, ...] = (0.0,)
        search = self._search(forms)
        target = here = search.get()
        if search.size:
            cost_here = search.terms(here)[0]
            if n_starts > 1 or self._last_gain > _NEAR:
                minima = search.minimize(n_starts, seed, gradient_tolerance=_SEARCH_TOLERANCE)
            else:
                minima = search.newton()
            search.set(here)
            gain, costs, target = cost_here - minima.cost, minima.costs, minima.raw
        if self.refine_scale:
            gain += sum(0.5 * float(form.by_scales @ form.scale_step(form.centre)) for form in forms)
        self._last_gain = gain
        return Proposal(forms, search, target, gain, costs)

    def step(self, proposal: Proposal) -> int:
        """Go where a proposal leads, or part of the way; return how often the step was halved."""
        start, before = self.objective, self.evaluations
        scales = [model.nuisances.scale for model in self.models]
        here = proposal.search.get()
        proposal.search.set(proposal.target)
        moves = self._scale_steps(proposal.forms) if self.refine_scale else [np.zeros_like(each) for each in scales]
        for halvings in range(MAX_HALVINGS + 1):
            fraction = 0.5**halvings
            proposal.search.set(here + fraction * (proposal.target - here))
            self._move_scales(scales, moves, fraction)
            self.evaluations = self._evaluate()
            if self.objective <= start:
                # With a curvature f times the one assumed, a step gains 2 - f times what it promised.
                surplus = (start - self.objective) / max(proposal.gain, 1e-12)
                factor = min(2.0, max(_FASTEST_FALL, 2.0 - surplus)) if halvings == 0 else 2.0**halvings
                self._curvature = min(1.0, max(_LEAST_CURVATURE, factor * self._curvature))
                return halvings
        proposal.search.set(here)
        self._move_scales(scales, moves, 0.0)
        self.evaluations = before
        self._curvature = 1.0
        if self._taken:
            self.curvatures, self._taken = None, False
        return MAX_HALVINGS + 1

    def _forget_steps(self) -> None:
        """Another error model is another likelihood."""
        self._last: list[tuple[Floats, Floats]] = []
        self._steps: list[list[tuple[Floats, Floats]]] = []

    def _forms(self) -> list[QuadraticForm]:
        """The quadratic forms here, with what the last steps have shown of their curvature."""
        forms = [QuadraticForm.at(m, e) for m, e in zip(self.models, self.evaluations, strict=True)]
        here = [
            (np.r_[form.centre.ravel(), model.nuisances.scale.ravel()], np.r_[form.by_occupancies, form.by_scales])
            for form, model in zip(forms, self.models, strict=True)
        ]
        if self._last:
            self._steps.append([(x - y, g - f) for (x, f), (y, g) in zip(here, self._last, strict=True)])
        self._last = here
        if self.curvatures is not None:
            forms = [form.with_information(known) for form, known in zip(forms, self.curvatures, strict=True)]
        forms = [form.with_curvature(self._curvature) for form in forms]
        for steps in self._steps[-_REMEMBERED:]:
            forms = [form.corrected(*step) for form, step in zip(forms, steps, strict=True)]
        return forms

    @torch.no_grad()
    def _scale_steps(self, forms: list[QuadraticForm]) -> list[Floats]:
        """The best changes of the scales' coefficients (T, p) at the provider's present occupancies."""
        return [
            form.scale_step(values.cpu().numpy()).reshape(model.nuisances.scale.shape)
            for model, form, values in zip(self.models, forms, self.provider(), strict=True)
        ]

    def _move_scales(self, before: list[Floats], moves: list[Floats], fraction: float) -> None:
        for model, old, move in zip(self.models, before, moves, strict=True):
            model.nuisances.scale = old + fraction * move

    @torch.no_grad()
    def _refresh_designs(self) -> None:
        if not self.refine_errors:
            return
        for model, values in zip(self.models, self.provider(), strict=True):
            model.refresh_strength(values)


def _require_finite(*values: Floats) -> None:
    if not all(np.isfinite(each).all() for each in values):
        raise ScalingError("the likelihood of the data is not finite; look for outliers among them")
