"""How often the right scheme is found: data drawn from the fitted example, four schemes fitted to each draw and ranked.

``python -m benchmarks.scheme_choice [N]`` fits the photocycle (to 2.5 A), draws its intensities anew from that fit N
times (6 by default) with the noise of the example, and ranks the scheme that they were drawn from, one whose
intermediates are parallel, one with a back reaction more, and one without the way back, as ``torchref.kinetic compare``
does: by what each says of timepoints left out. Fits of a draw begin where those of the example end.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter

import numpy as np
import torch

from benchmarks.series import EXAMPLE
from torchref_kinetic_plugin.analysis.preserved import preserved
from torchref_kinetic_plugin.analysis.scheme_choice import Entry, fit_candidates, ranked
from torchref_kinetic_plugin.analysis.variants import drawn, without
from torchref_kinetic_plugin.plugins import PluginManager, SeriesOccupancies
from torchref_kinetic_plugin.plugins.alternative_schemes import alternative_section
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.results import ComparedScheme
from torchref_kinetic_plugin.workflow.loaded import LoadedRefinement
from torchref_kinetic_plugin.workflow.loading import load_refinement
from torchref_kinetic_plugin.workflow.refining import prepare

TRUE = "A->B,B->C,C->A"
SCHEMES = {
    TRUE: "the one drawn from",
    "A->B,A->C,B->A,C->A": "parallel",
    "A->B,B->C,C->B,C->A": "a back reaction more",
    "A->B,B->C": "no way back",
}
D_MIN = 2.5


def provider_of(loaded: LoadedRefinement, scheme: str) -> SeriesOccupancies:
    """Occupancies of one scheme, at the starting values of the example where it says any."""
    section = alternative_section(loaded.file.provider_section, scheme)
    return loaded.plugins.build(
        "kinetics",
        loaded.plugins.provider("kinetics").read_settings(section),
        [experiment.schedule for experiment in loaded.experiments],
        loaded.structures.names,
        1,
    )


def draws(count: int) -> list[list[ComparedScheme]]:
    """The ranking of each draw."""
    loaded = load_refinement(
        EXAMPLE / "refinement.toml",
        plugins=PluginManager(builtin_only=True),
        overrides={"refinement.d_min": D_MIN},
    )
    (model,) = prepare(loaded).models
    providers = {scheme: provider_of(loaded, scheme) for scheme in SCHEMES}
    for scheme, provider in providers.items():
        # The example's own scales and error model are those of the scheme that is drawn from.
        fit_kinetics([model if scheme == TRUE else without(model, [])], provider)
    with torch.no_grad():
        (truth,) = providers[TRUE]()
    rankings = []
    for seed in range(3001, 3001 + count):
        data = drawn(model, truth, np.random.default_rng(seed))
        with contextlib.ExitStack() as stack:
            for provider in providers.values():
                stack.enter_context(preserved([], provider))
            entries = [Entry(scheme, [without(data, [])], each, n_starts=1) for scheme, each in providers.items()]
            rankings.append(ranked(fit_candidates(entries)))
        shown = ", ".join(f"{each.name} {each.difference:.1f} ± {each.std_error:.1f}" for each in rankings[-1])
        print(f"draw {seed}: {shown}", file=sys.stderr, flush=True)
    return rankings


def report(rankings: list[list[ComparedScheme]]) -> None:
    """Print how often each scheme was first, tied, or worse by how much, and the criteria's choices."""
    count = len(rankings)
    found = {scheme: [next(each for each in row if each.name == scheme) for row in rankings] for scheme in SCHEMES}
    first = Counter(row[0].name for row in rankings)
    least = {
        key: Counter(min(row, key=lambda each: getattr(each, key)).name for row in rankings) for key in ("aicc", "bic")
    }
    right = sum(each.tied for each in found[TRUE])
    print(f"{count} draws; {TRUE} first or tied in {right} ({100.0 * right / count:.0f} %)")
    print("| scheme | | first | tied | median difference to the first | least AICc | least BIC |")
    print("|---|---|---|---|---|---|---|")
    for scheme, what in SCHEMES.items():
        tied = sum(each.tied for each in found[scheme]) - first[scheme]
        median = np.median([each.difference for each in found[scheme]])
        print(
            f"| {scheme} | {what} | {first[scheme]} | {tied} | {median:.1f} | {least['aicc'][scheme]} "
            f"| {least['bic'][scheme]} |"
        )


def main() -> None:
    """Run the draws."""
    begun = time.perf_counter()
    report(draws(int(sys.argv[1]) if len(sys.argv) > 1 else 6))
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
