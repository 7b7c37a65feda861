"""Names of output files that are made of a user's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchref_kinetic_plugin.config.section import repeated


def repeated_outputs(structures: Sequence[str], timepoints: Mapping[str, Sequence[str]]) -> list[str]:
    """Names that two files would have, capital letters or not: one would replace the other.

    Parameters
    ----------
    structures : sequence of str
        Names of the structures.
    timepoints : mapping
        Experiment to its timepoints.
    """
    maps = [
        f"{name}_{point}{kind}" for name, own in timepoints.items() for point in own for kind in ("", "_difference")
    ]
    # Of all models together, and with several crystal forms of each of them.
    models = [*structures, "all"]
    if len(timepoints) > 1:
        models += [f"{name}_{model}" for name in timepoints for model in (*structures, "all")]
    folders = {"maps": (maps, ".mtz"), "structures": (models, ".cif")}
    return [
        f"{folder}/{name}{suffix}"
        for folder, (names, suffix) in folders.items()
        for name in repeated([each.casefold() for each in names])
    ]
