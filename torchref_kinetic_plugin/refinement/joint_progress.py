"""Where a joint refinement stands: its cycles so far, and all that it takes to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from torchref_kinetic_plugin.refinement.experiment import Floats, Nuisances
from torchref_kinetic_plugin.refinement.kinetic_fit import KineticFit


@final
@dataclass(frozen=True)
class Cycle:
    """What a macro-cycle came to.

    Attributes
    ----------
    number : int
        From 1.
    terms : dict
        The objective's terms at the end of the joint step; ``data`` is minus the log-likelihood.
    gain : float
        Objective that the joint step gained.
    work, validation, free : float
        Log-likelihoods at the end of the cycle; ``work`` without the validation set.
    shift : float
        R.m.s. shift of the free atoms in the cycle, A.
    n_evaluations : int
        Of the objective.
    parameters : dict
        Values of the provider's parameters, by experiment, kind and name.
    n_undone : int
        Trials of the joint step that led where the objective is no number; each was undone and shortened.
    """

    number: int
    terms: Mapping[str, float]
    gain: float
    work: float
    validation: float
    free: float
    shift: float
    n_evaluations: int
    parameters: Mapping[str, float]
    n_undone: int = 0


@final
@dataclass(frozen=True, eq=False)
class JointState:
    """All that a cycle changes, enough to go on from it.

    Attributes
    ----------
    vector : ndarray
        Of `JointVariables`.
    xyz, b, u : ndarray
        Of all rows.
    nuisances : tuple of Nuisances
        Of each experiment.
    strengths : tuple of ndarray
        Of each experiment.
    """

    vector: Floats
    xyz: Floats
    b: Floats
    u: Floats
    nuisances: tuple[Nuisances, ...]
    strengths: tuple[Floats, ...]


@final
@dataclass(frozen=True, eq=False)
class JointProgress:
    """Where a joint refinement stands between cycles; what a checkpoint holds.

    Attributes
    ----------
    cycles : tuple of Cycle
        Done so far.
    state, best : JointState
        Now, and where the validation set was described best.
    best_validation : ndarray
        (n,) log-likelihoods of the validation reflections there.
    widths : tuple of float or None
        Chosen for the restraints of displacements, as `FormRestraints` has them.
    finished : str
        Why it has ended; empty while it goes on.
    """

    cycles: tuple[Cycle, ...]
    state: JointState
    best: JointState
    best_validation: Floats
    widths: tuple[float | None, ...]
    finished: str = ""


@final
@dataclass(frozen=True, eq=False)
class JointFit:
    """Result of `refine_jointly`; variables, provider and models are left at the best point.

    Attributes
    ----------
    progress : JointProgress
        The last.
    kinetics : KineticFit
        The last fit of everything but the structures.
    """

    progress: JointProgress
    kinetics: KineticFit

    @property
    def converged(self) -> bool:
        """Whether it ended before the cycles did."""
        return bool(self.progress.finished)
