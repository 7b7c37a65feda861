"""What the columns of a reflection file may be called, and which belong together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

#: Usual names of measured columns, as `folded` writes them. None goes before another: two in one file are two data
#: sets.
USUAL_AMPLITUDES = frozenset({"f", "fp", "fo", "fobs", "fmean", "fmeas", "fmeasau"})
USUAL_INTENSITIES = frozenset({"i", "imean", "iobs", "imeas", "intensity", "intensitymeas", "fsquaredmeas"})
USUAL_AMPLITUDE_PAIRS = frozenset({"f", "fp", "fobs", "pdbxf"})
USUAL_INTENSITY_PAIRS = frozenset({"i", "iobs", "imean", "pdbxi"})
USUAL_FREE = frozenset(
    {
        "freerflag",
        "freerflags",
        "rfreeflag",
        "rfreeflags",
        "pdbxrfreeflag",
        "freeflag",
        "freeflags",
        "freer",
        "rfree",
        "free",
        "test",
        "testset",
        "testflag",
        "testflags",
    }
)

_CALCULATED = re.compile(
    r"""^(?:
        F[-_]?(?:C|calc|model|mask|bulk|part|sol|solvent)(?:$|[-_0-9(]|all|au)   # FC, F_calc_au, FC_ALL, F-model
        | .*(?:WT)$ | .*WT[-_].*                                                # FWT, DELFWT, pdbx_FWT
        | [0-9]*[mk]?F(?:o|obs)?[-_]?[0-9]*D?F(?:c|calc|o|obs)\w*               # 2FOFC, mFoDFc, FoFo
        | FEM | FDM | FDIFF.* | W?DF(?:obs)?$                                   # maps and differences
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_HALVES = (("(+)", "(-)"), ("plus", "minus"), ("PLUS", "MINUS"), ("Plus", "Minus"), ("+", "-"))


def folded(label: str) -> str:
    """Name without case, hyphens, underscores, brackets and blanks; ``(+)`` becomes ``plus``."""
    spelled = label.casefold().replace("(+)", "plus").replace("(-)", "minus")
    return re.sub(r"[-_() .]", "", spelled)


def is_calculated(label: str) -> bool:
    """Whether a name says that its column comes from a model, or is a map coefficient or a difference."""
    return _CALCULATED.match(label) is not None


def half(label: str) -> str:
    """``"plus"`` or ``"minus"`` for a column of one Friedel mate, else nothing."""
    name = folded(label)
    for sign in ("plus", "minus"):
        if sign in name:
            return sign
    return ""


def other_half(label: str) -> str:
    """Name that the column of the other Friedel mate has; the same name when there is no mark in it."""
    for plus, minus in _HALVES:
        if plus in label:
            return label.replace(plus, minus)
    return label


def sigma_of(types: Mapping[str, str]) -> dict[str, str]:
    """Pair columns of values with columns of their sigmas: by name, else the sigma column next to it.

    Parameters
    ----------
    types : mapping
        From label to MTZ type, in the order of the file.

    Returns
    -------
    dict
        From label to label; what has no sigma column is not in it.
    """
    sigmas = {folded(label): label for label, kind in types.items() if kind in "QLM"}
    values = [label for label, kind in types.items() if kind in "FJGK"]
    pairs = {}
    for label in values:
        names = _sigma_names(folded(label))
        if found := next((sigmas[name] for name in names if name in sigmas), None):
            pairs[label] = found
    claimed = set(pairs.values())
    labels = list(types)
    for label in values:
        after = labels[labels.index(label) + 1 :][:1]
        if label not in pairs and after and types[after[0]] in "QLM" and after[0] not in claimed:
            pairs[label] = after[0]
            claimed.add(after[0])
    return pairs


def _sigma_names(name: str) -> Iterable[str]:
    yield from (f"sig{name}", f"sigma{name}", f"{name}sigma", f"{name}sig", f"sd{name}")
    if "meas" in name:
        yield name.replace("meas", "meassigma")
        yield name.replace("meas", "sigma")
