"""Macro-cycles of structures and kinetics: a joint step, then masks, contacts, scales, error model and kinetics.

Coordinates are refined against all work reflections but a small validation set, which says when to stop: the work
reflections cannot, and free ones would no longer be free. The first cycle leaves the displacements of bonded atoms
alone; what it finds says how alike they are, and the others restrain them to that.

That restraint keeps noise out of the atoms, and it pulls displacements to zero. Of a small displacement the data know
the product with the occupancy, so yields come out too high under it, by 1 to 8 % in the examples. In a last fit it
holds displacements where they were found, and nothing pulls: rates and yields are taken there, and then the atoms
with the restraint as it was at these rates and yields.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from torchref_kinetic_plugin.errors import ScalingError
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
from torchref_kinetic_plugin.refinement.experiment import Flags, Floats
from torchref_kinetic_plugin.refinement.form_restraints import FormRestraints
from torchref_kinetic_plugin.refinement.joint_objective import JointExperiment, JointObjective
from torchref_kinetic_plugin.refinement.joint_progress import Cycle, JointFit, JointProgress, JointState
from torchref_kinetic_plugin.refinement.joint_step import joint_step
from torchref_kinetic_plugin.refinement.joint_variables import JointVariables
from torchref_kinetic_plugin.refinement.kinetic_fit import KineticFit, fit_kinetics
from torchref_kinetic_plugin.threads import one_thread

_log = logging.getLogger(__name__)

#: Quasi-Newton steps of a cycle.
_STEPS = 30
#: Joint steps of the last fit.
_LAST_STEPS = 2
#: Share of the work reflections that validates.
VALIDATION_FRACTION = 0.05
#: Gain of a cycle in the objective below which nothing moves any more.
_SMALL_GAIN = 2.0
#: Standard errors by which the validation set must have become worse before the refinement stops.
_WORSE = 2.0


def validation_set(work: Flags, seed: int) -> Flags:
    """(H,) bool, the work reflections that validate; the same for the same seed."""
    chosen: Flags = work & (np.random.default_rng(seed).random(len(work)) < VALIDATION_FRACTION)
    return chosen


@one_thread()
def refine_jointly(
    experiments: Sequence[JointExperiment],
    variables: JointVariables,
    restraints: FormRestraints,
    *,
    cycles: int,
    seed: int = 1,
    n_starts: int = 4,
    stop: bool = True,
    find_width: bool = True,
    doubt: bool = False,
    resume: JointProgress | None = None,
    on_cycle: Callable[[JointProgress], None] | None = None,
    after_refresh: Callable[[], None] | None = None,
) -> JointFit:
    """Refine atoms, rates, yields and scales together.

    Parameters
    ----------
    experiments : sequence of JointExperiment
        Data and structures.
    variables : JointVariables
        What moves.
    restraints : FormRestraints
        Of the atoms; their widths are set, if chosen here.
    cycles : int
        Largest number of macro-cycles.
    seed : int
        Of random probes and starts.
    n_starts : int
        Of the kinetic fit before the first cycle.
    stop : bool
        Whether to stop when the validation set is described worse, or when nothing moves.
    find_width : bool
        Whether the restraint of displacements is found from the first cycle.
    doubt : bool
        Whether to go back to the start unless the validation reflections are described better by more than the standard
        error of that.
    resume : JointProgress, optional
        From where to go on.
    on_cycle : callable, optional
        Called after each cycle.
    after_refresh : callable, optional
        Called when masks have been computed anew, before the kinetic fit.

    Raises
    ------
    ScalingError
        When the objective is not finite at the start.
    """
    fit = _JointFit(experiments, variables, restraints, seed, after_refresh)
    start, at_start = fit.state(), np.zeros(0)
    given = start.xyz
    if resume is None:
        kinetics = fit.kinetics(n_starts)
        start, at_start = fit.state(), fit.validation()
        progress = JointProgress((), start, start, at_start, restraints.widths)
    else:
        progress = resume
        restraints.set_widths(progress.widths)
        fit.restore(progress.state)
        kinetics = fit.kinetics(1)
        fit.restore(progress.state)
    while len(progress.cycles) < cycles and not progress.finished:
        kinetics, progress = fit.cycle(progress, stop=stop)
        if find_width and len(progress.cycles) == 1:
            restraints.set_widths(restraints.typical_widths(variables.values))
            progress = replace(progress, widths=restraints.widths)
        if on_cycle is not None:
            on_cycle(progress)
    back = progress.best
    if doubt and resume is None:
        gain = progress.best_validation - at_start
        if float(gain.sum()) < float(gain.std() * np.sqrt(max(1, len(gain)))):
            back = start
    if stop and back is not progress.state:
        fit.restore(back)
        kinetics = fit.kinetics(1)
    restrained = find_width and len(progress.cycles) > 1
    if restrained and not np.array_equal(variables.values.xyz.cpu().numpy(), given):
        kinetics = fit.last()
    return JointFit(progress, kinetics)


class _JointFit:
    def __init__(
        self,
        experiments: Sequence[JointExperiment],
        variables: JointVariables,
        restraints: FormRestraints,
        seed: int,
        after_refresh: Callable[[], None] | None,
    ) -> None:
        self.experiments, self.variables, self.restraints = list(experiments), variables, restraints
        self.objective = JointObjective(self.experiments, variables, restraints)
        self.models = [each.model for each in self.experiments]
        self.seed = seed
        self._after_refresh = after_refresh
        self._validating = [each.model.work & ~each.train for each in self.experiments]
        self.refresh()

    def cycle(self, progress: JointProgress, *, stop: bool) -> tuple[KineticFit, JointProgress]:
        """One macro-cycle from the present state."""
        number = len(progress.cycles) + 1
        free = self.variables.rows.free
        before = self.variables.values.xyz[free].clone()
        step = joint_step(self.objective, iterations=_STEPS, seed=self.seed + number)
        if not step.after.finite:
            raise ScalingError("the objective of structures and kinetics is not finite; look for outliers in the data")
        shift = float((self.variables.values.xyz[free] - before).square().sum(1).mean().sqrt()) if len(free) else 0.0
        self.refresh()
        kinetics = self.kinetics(1)
        validation = self.validation()
        done = Cycle(
            number,
            step.after.by_name,
            step.before.total - step.after.total,
            kinetics.work - float(validation.sum()),
            float(validation.sum()),
            kinetics.free,
            shift,
            step.n_evaluations,
            self._parameters(),
            step.n_undone,
        )
        _log.info("cycle %d: %s", number, done)
        state = self.state()
        change = validation - progress.best_validation
        worse = float(change.sum()) < -_WORSE * float(change.std() * np.sqrt(max(1, len(change))))
        best, at_best = (progress.best, progress.best_validation)
        if not worse:
            best, at_best = state, validation
        finished = ""
        if stop and worse:
            finished = "the validation reflections are described worse than before"
        elif stop and number > 1 and done.gain < _SMALL_GAIN:
            finished = "nothing moves any more"
        return kinetics, JointProgress((*progress.cycles, done), state, best, at_best, progress.widths, finished)

    def last(self) -> KineticFit:
        """Rates and yields where nothing pulls displacements to zero, then the atoms with that pull at these."""
        restrained = self.variables.values
        with self.restraints.expecting(restrained):
            for number in range(_LAST_STEPS):
                joint_step(self.objective, iterations=_STEPS, seed=self.seed + number)
                self.refresh()
                self.kinetics(1)
        # From where they were with it: what they took up without it is mostly noise.
        self.variables.values = restrained
        self.refresh()
        atoms = self.variables.without_provider()
        joint_step(JointObjective(self.experiments, atoms, self.restraints), iterations=_STEPS, seed=self.seed)
        self.variables.values = atoms.values
        self.refresh()
        return self.kinetics(1, refine_provider=False)

    def _parameters(self) -> dict[str, float]:
        provider = self.variables.provider
        if not isinstance(provider, SeriesOccupancies):
            return {}
        return {" ".join(key): value for key, value in ProviderParameters(provider).values().items()}

    def kinetics(self, n_starts: int, *, refine_provider: bool = True) -> KineticFit:
        """Fit everything but the structures."""
        moves = refine_provider and self.variables.kinetics.stop > self.variables.kinetics.start
        return fit_kinetics(
            self.models,
            self.variables.provider,
            n_starts=n_starts,
            seed=self.seed,
            refine_provider=moves,
            refine_scale=self.variables.refine_scale,
        )

    def refresh(self) -> None:
        """Let masks, contacts and the models' structure factors follow the atoms."""
        values = self.variables.values
        for each in self.experiments:
            each.bank.mask_structure_factors(each.in_cell(values))
        self.restraints.update_contacts(values)
        with torch.no_grad():
            for each in self.experiments:
                each.model.components = each.components(values)
        if self._after_refresh is not None:
            self._after_refresh()

    @torch.no_grad()
    def validation(self) -> Floats:
        """Log-likelihoods of the validation reflections of all experiments."""
        parts = []
        for model, rows, values in zip(self.models, self._validating, self.variables.provider(), strict=True):
            parts.append(model.evaluate(values).log_likelihood.cpu().numpy()[rows])
        return np.concatenate(parts)

    def state(self) -> JointState:
        """A copy of what a cycle changes."""
        values = self.variables.values
        xyz, b, u = (part.detach().cpu().numpy().copy() for part in (values.xyz, values.b, values.u))
        return JointState(
            self.variables.get(),
            xyz,
            b,
            u,
            tuple(model.nuisances.copy() for model in self.models),
            tuple(model.strength.cpu().numpy().copy() for model in self.models),
        )

    def restore(self, state: JointState) -> None:
        """Go back to a state."""
        self.variables.place(state.xyz, state.b, state.u)
        self.variables.set_provider(state.vector)
        for model, nuisances, design in zip(self.models, state.nuisances, state.strengths, strict=True):
            model.nuisances = nuisances.copy()
            model.strength = torch.as_tensor(design.copy(), device=model.strength.device)
        self.refresh()
