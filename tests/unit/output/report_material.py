"""Results made by hand, with everything a report can show, and with the least."""

import base64
import dataclasses
import math

import numpy as np

from torchref_kinetic_plugin.output.report import ReportMaterial
from torchref_kinetic_plugin.plugins import ReportSection
from torchref_kinetic_plugin.results import (
    BootstrapEstimate,
    Correlations,
    CycleSummary,
    DatasetStatistics,
    DatasetSummary,
    Estimate,
    FitStep,
    FreeOccupancy,
    GeometrySummary,
    LeftOut,
    MapView,
    NullTest,
    OccupancyCurve,
    OccupancyEstimate,
    Profile,
    ProfilePoint,
    RefinementResult,
    ResidueShift,
    SchemeTest,
    ShellResidual,
    Validation,
)

#: A picture of one pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
TIMES = {"1_us": 1e-6, "10_us": 1e-5, "100_us": 1e-4}
REQUEST = """\
title = "by hand"
[refinement]
occupancy = "kinetics"
d_min = 1.8
[structures]
states = [{name = "dark", file = "../dark.pdb"}, {name = "I1", file = "../i1.pdb"}]
[[experiment]]
name = "cold"
temperature = 280.0
references = [{file = "../dark.mtz"}]
timepoints = [{file = "../a.mtz", time = "1 us"}, {file = "../b.mtz", time = "10 us"}, {file = "../c.mtz", time = inf}]
[kinetics]
scheme = "A->B,B->A"
light_activated = true
state_mapping = {A = "dark", B = "I1"}
rate_constants = {"A->B" = "inf"}
"""


def excited(time):
    return 0.3 * math.exp(-time / 2e-5)


def bare():
    """One experiment with the least that a refinement gives."""
    occupancies = [
        OccupancyEstimate("cold", name, time, structure, value, None, None)
        for name, time in TIMES.items()
        for structure, value in (("dark", 1.0 - excited(time)), ("I1", excited(time)))
    ]
    return RefinementResult(
        title="By hand",
        provider="fixed",
        refined=("scale",),
        structures=("dark", "I1"),
        converged=True,
        n_observations_work=12345,
        n_observations_free=678,
        n_parameters=9,
        parameters=(),
        occupancies=tuple(occupancies),
        statistics=tuple(
            DatasetStatistics("cold", name, 0, 3000, 150, 0.1811 + 0.001 * n, 0.2022 + 0.001 * n, *cc)
            for n, (name, cc) in enumerate(
                [("dark", (None, None)), *((each, (0.41 + 0.01 * n, 0.38)) for n, each in enumerate(TIMES))]
            )
        ),
        steps=(),
        remarks=(),
        seed=7,
        versions={"torchref-kinetic-plugin": "0.1.0", "gemmi": "0.7.5"},
        inputs={"dark.mtz": "0" * 64},
        seconds=12.34,
    )


def full():
    """Everything at once."""
    result = bare()
    random = np.random.default_rng(1)
    shells = ((20.0, 3.1), (3.1, 2.2), (2.2, 1.8))
    after = tuple(dataclasses.replace(each, cycle=1, r_work=each.r_work - 0.0123) for each in result.statistics)
    grid = tuple(np.logspace(-6.3, -3.7, 25).tolist())
    parameters = (
        Estimate("cold", "rate_constant", "B->A", 5.012e4, "1/s", 0.031, 4.72e4, 5.32e4, 1e4, 1.55e3),
        Estimate("cold", "efficiency", "A->B", 0.2987, "", 0.012, 0.2917, 0.3058, 0.5, 0.0036),
        Estimate("cold", "efficiency", "B->A", 1.0, "", None, None, None, 1.0),
        Estimate("all", "activation_enthalpy", "B->A", -3.21, "kJ/mol", None, -4.5, -1.9, 50.0, 0.66),
        Estimate("cold", "response", "width", 5e-8, "s", math.inf, 0.0, math.inf, 5e-8, math.inf),
    )
    return dataclasses.replace(
        result,
        provider="kinetics",
        refined=("kinetics", "structures", "scale"),
        converged=False,
        parameters=parameters,
        occupancies=tuple(
            dataclasses.replace(each, lower=each.occupancy - 0.02, upper=each.occupancy + 0.02)
            for each in result.occupancies
        ),
        statistics=(*result.statistics, *after),
        steps=(FitStep(0, 10.0, -9.0, -1.0, 0.0),),
        remarks=("the fit has not converged: the last step still promised a gain",),
        cycles=tuple(
            CycleSummary(
                n,
                {"data": 5.0, "geometry": 2.0 / n},
                1.0,
                -5.0,
                -1.0 / n,
                -1.0,
                0.1,
                {"cold efficiency A->B": 0.3, "cold rate_constant B->A": 5e4, "cold response width": 5e-8},
            )
            for n in (1, 2)
        ),
        shifts=(
            ResidueShift("I1", "A/HIS 68", 10, 2.41, 4.02, "NE2", 0.05, "cold"),
            ResidueShift("I1", "A/GLY 7", 4, 0.31, 0.52, "O", math.nan, "cold"),
        ),
        geometry=(GeometrySummary("dark", 600, 0.0123, 820, 1.61, "cold"),),
        correlations=Correlations(
            ("k(B->A)", "yield(A->B)"), ((1.0, -0.42), (-0.42, 1.0)), (0.031, 0.02), (0.035, 0.021)
        ),
        validation=Validation(
            left_out=(LeftOut("cold", "1_us", 2900, 0.37, 0.41, -1234.5),),
            free_occupancies=tuple(
                FreeOccupancy("cold", name, "I1", excited(time) + 0.01, 0.008) for name, time in TIMES.items()
            ),
            scheme_tests=(SchemeTest("cold", "10_us", 7.3, 1, 0.0069), SchemeTest("cold", "1_us", 31.0, 1, 2.6e-8)),
            null_tests=(NullTest("cold", "dark2", 0.012, 0.004),),
        ),
        datasets=(
            DatasetSummary("cold", "dark", "/data/dark.mtz", None, 3150, 20.0, 1.8, 0.987, None, None, ()),
            DatasetSummary("cold", "1_us", "/data/a.mtz", 1e-6, 3100, 20.0, 1.8, 0.971, 0.0613, 1.24, ("a remark",)),
        ),
        residuals=tuple(
            ShellResidual("cold", name, high, low, 1000, 990 if n else 0, 0.15 + 0.01 * n, 1.0 + 0.1 * n if n else None)
            for n, name in enumerate(("dark", *TIMES))
            for high, low in shells
        ),
        curves=tuple(
            OccupancyCurve("cold", name, grid, values, tuple(v - 0.02 for v in values), tuple(v + 0.02 for v in values))
            for name, values in (
                ("dark", tuple(1.0 - excited(t) for t in grid)),
                ("I1", tuple(excited(t) for t in grid)),
            )
        ),
        map_views=(MapView("views/a.png", "cold", "1_us", "I1", "A/HIS 68", 1e-6, 0.285, 2.41, 0.061, 3.0, 0.87),),
    ), _later(random)


def _later(random):
    values = np.sort(5e4 * np.exp(0.03 * np.linspace(-3, 3, 9)))
    profile = Profile(
        "cold",
        "rate_constant",
        "B->A",
        "1/s",
        5.012e4,
        tuple(ProfilePoint(float(v), float(0.5 * (math.log(v / 5.012e4) / 0.031) ** 2)) for v in values),
        4.71e4,
        None,
        ("flat above",),
    )
    draws = 0.2987 + 0.0036 * random.standard_normal(60)
    bootstrap = BootstrapEstimate(
        "cold",
        "efficiency",
        "A->B",
        "",
        0.2987,
        tuple(draws.tolist()),
        *np.quantile(draws, [0.025, 0.975]).tolist(),
        0.012,
    )
    return (profile,), (bootstrap,)


def material(directory, *, everything):
    """A `ReportMaterial` in a directory, with a picture of one pixel for its map view and its plugin."""
    (directory / "views").mkdir(exist_ok=True)
    (directory / "views" / "a.png").write_bytes(PIXEL)
    (directory / "refinement.toml").write_text(REQUEST)
    if not everything:
        return ReportMaterial(bare(), REQUEST, directory)
    result, (profiles, bootstrap) = full()
    section = ReportSection(
        "Of a plugin", "First.\n\nSecond.", ("what", "n"), (("a", "1"),), ("views/a.png", "gone.png")
    )
    return ReportMaterial(result, REQUEST, directory, (section,), profiles, bootstrap)
