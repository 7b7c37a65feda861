"""Data terms with gradients to the atoms, beside the structure factors that they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from benchmarks.series import Series, example, lysozyme, with_timepoints
from benchmarks.timing import in_turn
from torchref_kinetic_plugin.bridge import StructureFactorBank, with_solvent
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.preparation import Preparation, prepare_experiment

#: Largest ratio allowed at so many timepoints.
LIMITS = {8: 1.3, 64: 1.8}
_FREE = ("xyz", "adp", "u")


def rows(*, long: bool = False) -> Iterator[str]:
    """One line of the table for 8 and for 64 timepoints, on lysozyme where it lies, else the example; both if long."""
    real = lysozyme()
    chosen = [] if real is None else [real]
    if real is None or long:
        chosen.append(example())
    for series in chosen:
        prepared = prepare_experiment(series.data, series.structures, series.reference_occupancies)
        bank = bank_of(series)
        for n_timepoints, limit in LIMITS.items():
            yield _row(series, prepared, bank, n_timepoints, limit)


def bank_of(series: Series) -> StructureFactorBank:
    """All structures of a series with everything free."""
    return StructureFactorBank(series.structures, series.data.grid.hkl, series.data.crystal, free=_FREE)


def data_terms(
    series: Series, prepared: Preparation, bank: StructureFactorBank, n_timepoints: int
) -> Callable[[], None]:
    """The likelihood of a series with gradients to atoms and occupancies, ready to be timed."""
    data, chosen = with_timepoints(series.data, n_timepoints)
    model = ExperimentModel(
        data, prepared.model.components, prepared.model.base_log_scale.numpy()[chosen], series.reference_occupancies
    )
    masks, mask_scale = bank.mask_structure_factors(), torch.as_tensor(prepared.absolute.mask_scale)
    work = torch.as_tensor(np.flatnonzero(model.work))
    # Excited by 30 %, as experiments are, in proportions of the intermediates that differ from timepoint to timepoint.
    generator = torch.Generator().manual_seed(1)
    excited = torch.rand(len(series.structures) - 1, n_timepoints, generator=generator, dtype=torch.float64)
    excited = 0.3 * excited / excited.sum(0)
    occupancies = torch.cat([1.0 - excited.sum(0, keepdim=True), excited]).requires_grad_()
    # The scales and the error model stand still within a step of the structures.
    fixed = model.error_variance(), model.log_scale(), model.log_inflation()

    def evaluate() -> None:
        forget_gradients([*bank.parameters(), occupancies])
        model.components = with_solvent(bank.structure_factors(), masks, mask_scale)
        values = model.likelihood(model.mixture(model.with_references(occupancies)), *fixed)
        (-values[work].sum()).backward()  # type: ignore[no-untyped-call]

    return evaluate


def _row(series: Series, prepared: Preparation, bank: StructureFactorBank, n_timepoints: int, limit: float) -> str:
    gradient = torch.randn(prepared.atoms.shape, generator=torch.Generator().manual_seed(1), dtype=prepared.atoms.dtype)

    def structure_factors() -> None:
        forget_gradients(bank.parameters())
        bank.structure_factors().backward(gradient)

    pair = in_turn(data_terms(series, prepared, bank, n_timepoints), structure_factors, seconds=6.0)
    return (
        f"| data terms, {series.name}, {bank.n_structures} structures, {bank.n_reflections} reflections, "
        f"{n_timepoints} timepoints | {1e3 * pair.ours:.0f} ms | {1e3 * pair.theirs:.0f} ms, structure factors alone "
        f"| {pair.ratio:.2f} | {limit:.1f} |"
    )


def forget_gradients(parameters: Iterable[torch.Tensor]) -> None:
    """Before the next backward pass."""
    for parameter in parameters:
        parameter.grad = None
