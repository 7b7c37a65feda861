"""Which columns are taken, and what is said when none or several can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import InputError, UnknownNameError
from torchref_kinetic_plugin.reflections import read_observations
from torchref_kinetic_plugin.reflections.column_names import is_calculated

HKL = crystals.reflections(d_min=5.0)


def written(folder: Path, spec: str) -> Path:
    """Columns as ``"FP:F SIGFP:Q"``; each holds its own number, sigmas a tenth of it."""
    columns = []
    for number, item in enumerate(spec.split()):
        label, kind = item.rsplit(":", 1)
        values = np.full(len(HKL), 10.0 * (number + 1))
        columns.append((label, kind, crystals.flags(len(HKL)) if kind == "I" else values))
    return crystals.write_mtz(folder / "columns.mtz", HKL, columns)


@pytest.mark.parametrize(
    ("spec", "value", "sigma"),
    [
        ("FP:F SIGFP:Q", "FP", "SIGFP"),
        ("F-obs:F SIGF-obs:Q", "F-obs", "SIGF-obs"),
        ("SIGF:Q F:F", "F", "SIGF"),
        ("weird:F sd:Q", "weird", "sd"),
        # Amplitudes before intensities, means before mates.
        ("IMEAN:J SIGIMEAN:Q F:F SIGF:Q", "F", "SIGF"),
        ("F(+):G SIGF(+):L F(-):G SIGF(-):L FMEAN:F SIGFMEAN:Q", "FMEAN", "SIGFMEAN"),
        ("I:J SIGI:Q F(+):G SIGF(+):L F(-):G SIGF(-):L", "F(+), F(-)", "SIGF(+), SIGF(-)"),
        ("F-obs(+):G SIGF-obs(+):L F-obs(-):G SIGF-obs(-):L", "F-obs(+), F-obs(-)", "SIGF-obs(+), SIGF-obs(-)"),
        ("F(+):G F(-):G SIGF(+):L SIGF(-):L", "F(+), F(-)", "SIGF(+), SIGF(-)"),
        # Refinement output: measured among calculated.
        ("F:F SIGF:Q FC:F PHIC:P FWT:F PHWT:P DELFWT:F PHDELWT:P", "F", "SIGF"),
        ("FC:F PHIC:P FP:F SIGFP:Q 2FOFCWT:F PH2FOFCWT:P FC_ALL:F", "FP", "SIGFP"),
        ("F-obs:F SIGF-obs:Q F-obs-filtered:F SIGF-obs-filtered:Q F-model:F", "F-obs", "SIGF-obs"),
        # A calculated amplitude beside a sigma that is not its own.
        ("FC:F SIGFP:Q FP:F", "FP", "SIGFP"),
    ],
)
def test_found(tmp_path: Path, spec: str, value: str, sigma: str) -> None:
    read = read_observations(written(tmp_path, spec))
    assert (read.columns["F"], read.columns["SIGF"]) == (value, sigma)
    assert read.kind == "amplitude"
    labels = [item.rsplit(":", 1)[0] for item in spec.split()]
    if "," not in value:
        assert (read.amplitude == 10.0 * (labels.index(value) + 1)).all()
        assert (read.sigma == 10.0 * (labels.index(sigma) + 1)).all()


@pytest.mark.parametrize(
    ("spec", "messages"),
    [
        ("FC:F PHIC:P", ("no observed amplitudes", "FC (amplitude), PHIC (phase)", "calculated amplitudes", "FC")),
        ("FWT:F PHWT:P DELFWT:F PHDELWT:P", ("map coefficients are no data: FWT, DELFWT",)),
        ("FC:F SIGFC:Q", ("calculated amplitudes",)),
        ("FP:F", ("without a sigma: FP",)),
        ("FREE:I", ("found: FREE (integer)",)),
        (
            "F_dark:F SIGF_dark:Q F_light:F SIGF_light:Q",
            ("several sets of observations: F_dark, SIGF_dark; F_light, SIGF_light", 'columns = {F = "F_dark"'),
        ),
        ("FP:F SIGFP:Q FOBS:F SIGFOBS:Q", ("several sets of observations",)),
        ("F(+):G SIGF(+):L", ("no observed amplitudes",)),
    ],
)
def test_refused(tmp_path: Path, spec: str, messages: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        read_observations(written(tmp_path, spec))
    for message in (*messages, "columns.mtz"):
        assert message in str(caught.value)


def test_alternatives_are_reported(tmp_path: Path) -> None:
    read = read_observations(written(tmp_path, "IMEAN:J SIGIMEAN:Q FP:F SIGFP:Q FREE:I"))
    assert "FP, SIGFP used; also in the file: IMEAN, SIGIMEAN" in read.remarks


@pytest.mark.parametrize(
    ("columns", "value", "sigma", "kind"),
    [
        ({"F": "F_light"}, "F_light", "SIGF_light", "amplitude"),
        ({"F": "F_dark", "SIGF": "SIGF_light"}, "F_dark", "SIGF_light", "amplitude"),
        ({"I": "IMEAN"}, "IMEAN", "SIGIMEAN", "intensity"),
        ({"F": "F(-)", "SIGF": "SIGF(-)"}, "F(+), F(-)", "SIGF(+), SIGF(-)", "amplitude"),
    ],
)
def test_named(tmp_path: Path, columns: dict[str, str], value: str, sigma: str, kind: str) -> None:
    spec = "F_dark:F SIGF_dark:Q F_light:F SIGF_light:Q IMEAN:J SIGIMEAN:Q F(+):G SIGF(+):L F(-):G SIGF(-):L"
    read = read_observations(written(tmp_path, spec), columns)
    role = "F" if kind == "amplitude" else "I"
    assert (read.columns[role], read.columns[f"SIG{role}"], read.kind) == (value, sigma, kind)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"F": "FPP"}, UnknownNameError, r"unknown column 'FPP' .*\(F\) \(did you mean 'FP'\?\); allowed: FP, SIGFP"),
        ({"F": "FP", "SIGF": "SIGF"}, UnknownNameError, r"\(SIGF\) \(did you mean 'SIGFP'"),
        ({"F": "FP", "free": "FreeR"}, UnknownNameError, r"\(free\) \(did you mean 'FREE'"),
        ({"f": "FP"}, UnknownNameError, "unknown column 'f'.*allowed: F, SIGF, I, SIGI, free"),
        ({"F": "FP", "I": "IMEAN"}, InputError, "name both F = 'FP' and I = 'IMEAN'"),
        ({"SIGF": "SIGFP"}, InputError, "name SIGF = 'SIGFP' without F"),
        ({"F": "IMEAN"}, InputError, "F = 'IMEAN' is of type intensity, not amplitude"),
        ({"I": "FP"}, InputError, "I = 'FP' is of type amplitude, not intensity"),
        ({"F": "FP", "SIGF": "FC"}, InputError, "SIGF = 'FC' is of type amplitude, not sigma"),
        ({"F": "FC"}, InputError, "no sigma column found for 'FC'; name it as SIGF; sigma columns: SIGFP"),
    ],
)
def test_named_wrongly(tmp_path: Path, columns: dict[str, str], error: type[Exception], message: str) -> None:
    path = written(tmp_path, "FP:F SIGFP:Q IMEAN:J SIGIMEAN:Q FREE:I PHIC:P FC:F")
    with pytest.raises(error, match=message):
        read_observations(path, columns)


def test_a_calculated_amplitude_is_taken_only_when_named_with_a_sigma(tmp_path: Path) -> None:
    path = written(tmp_path, "FP:F SIGFP:Q PHIC:P FC:F")
    read = read_observations(path, {"F": "FC", "SIGF": "SIGFP"})
    assert any("named like a calculated amplitude" in remark for remark in read.remarks)


@pytest.mark.parametrize(
    "label",
    [
        "FC",
        "FCALC",
        "F_calc",
        "F-calc",
        "F_calc_au",
        "F-model",
        "FMODEL",
        "F-model_xray",
        "FC_ALL",
        "FC_ALL_LS",
        "FWT",
        "DELFWT",
        "pdbx_FWT",
        "2FOFCWT",
        "FOFCWT",
        "2FOFCWT_fill",
        "mFoDFc",
        "2mFoDFc",
        "FEM",
        "Fmask",
        "DF",
    ],
)
def test_calculated_names(label: str) -> None:
    assert is_calculated(label)


@pytest.mark.parametrize(
    "label",
    [
        "F",
        "FP",
        "F-obs",
        "FOBS",
        "Fobs",
        "FO",
        "F_meas_au",
        "F-obs-filtered",
        "FCu",
        "F_light",
        "FP_native",
        "Fcrystal1",
    ],
)
def test_measured_names(label: str) -> None:
    assert not is_calculated(label)
