"""Results of campaigns, made up."""

from torchref_kinetic_plugin.results import (
    BootstrapEstimate,
    CampaignFailure,
    CampaignResult,
    CampaignRun,
    Estimate,
    RunOutcome,
)

AXES = ("scheme", "d_min")


def outcome(rate, *, experiment="298K", converged=True, n_free=400, draws=(), refined=True):
    rows = [
        Estimate(experiment, "rate_constant", "B->A", rate, "1/s", 0.05, 0.9 * rate, 1.1 * rate, 1e5, 0.05 * rate),
        Estimate(experiment, "activation_enthalpy", "B->A", -3.0, "kJ/mol", None, -5.0, -1.0, 50.0, 1.0),
        Estimate(experiment, "efficiency", "A->B", 1.0, "", None, None, None, 1.0),
    ]
    spread = ()
    if draws:
        kept = tuple(sorted(draws))
        spread = (BootstrapEstimate(experiment, "rate_constant", "B->A", "1/s", rate, kept, kept[0], kept[-1], 0.1),)
    return RunOutcome(
        converged,
        4000,
        n_free,
        30,
        0.17,
        0.19,
        0.55,
        -9000.0,
        -1234.56,
        tuple(rows if refined else rows[2:]),
        spread,
        len(draws),
        (),
    )


def run(number, labels, found=None, status="done"):
    text = ", ".join(f"{axis} {label}" for axis, label in labels.items())
    seconds = float("nan") if status == "waiting" else 12.5
    return CampaignRun(number, text, f"runs/{number:016x}", f"{number:064x}", labels, status, seconds, found)


def campaign(runs=None, failures=(), *, title="Schemes <b>", bootstraps=3, axes=AXES):
    """Two schemes at two limits, one failed, one waiting."""
    if runs is None:
        runs = (
            run(1, {"scheme": "cycle", "d_min": "1.8"}, outcome(2e5, draws=(1.8e5, 2.1e5, 2.2e5))),
            run(2, {"scheme": "cycle", "d_min": "2"}, outcome(3e5, converged=False)),
            run(3, {"scheme": "<i>trap</i>", "d_min": "1.8"}, None, "failed"),
            run(4, {"scheme": "<i>trap</i>", "d_min": "2"}, None, "waiting"),
        )
        failures = (
            CampaignFailure(2, "scheme cycle, d_min 2", 3, "the fit has not converged", ""),
            CampaignFailure(
                3, "scheme <i>trap</i>, d_min 1.8", 0, "ZeroDivisionError: <bad>\nsecond line", "Traceback"
            ),
        )
    return CampaignResult(
        title, axes, tuple(runs), tuple(failures), bootstraps, ("a remark",), {"torchref": "0.7"}, {"/a.mtz": "ab"}, 3.0
    )
