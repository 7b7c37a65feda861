"""The summary of a campaign: what it says, in its table, on its page and in its picture."""

import csv
import json

import pytest

from tests.unit.output.campaigns import AXES, campaign, outcome, run
from tests.unit.output.html_page import Page
from torchref_kinetic_plugin.output.campaign_figure import campaign_figure, compared_parameters
from torchref_kinetic_plugin.output.campaign_files import SUMMARY, write_campaign
from torchref_kinetic_plugin.output.campaign_page import campaign_html


@pytest.fixture
def page():
    return Page(campaign_html(campaign(), frozenset({1})))


def rows_of(directory, result):
    write_campaign(directory, result)
    with (directory / "summary.csv").open() as file:
        return list(csv.DictReader(file))


def test_table_of_runs(page):
    rows = page.body("runs-table")
    assert [[text for text, _ in row] for row in rows] == [
        ["1", "cycle", "1.8", "done", "30", "0.1700", "0.1900", "0.550", "−1234.6", "400", "3", "12.5"],
        ["2", "cycle", "2", "done, not converged", "30", "0.1700", "0.1900", "0.550", "−1234.6", "400", "0", "12.5"],
        ["3", "<i>trap</i>", "1.8", "failed", "–", "–", "–", "–", "–", "–", "–", "12.5"],
        ["4", "<i>trap</i>", "2", "waiting", "–", "–", "–", "–", "–", "–", "–", "–"],
    ]
    assert rows[0][8][1] == pytest.approx(-1234.56)


def test_a_run_with_a_report_leads_to_it_and_nothing_else_leads_out(page):
    outside = [each for each in page.addresses if not each.startswith(("#", "data:"))]
    assert outside == ["runs/0000000000000001/refined/report.html"]
    assert "script" not in page.tags


def test_what_users_name_is_escaped(page):
    assert "i" not in page.tags
    assert "bad" not in page.tags
    assert "Schemes <b>" in page.text
    assert "ZeroDivisionError: <bad> second line This is an error of the program" in page.text


def test_failures_are_told_with_their_errors(page):
    assert "Run 2, draw 3 scheme cycle, d_min 2 the fit has not converged" in page.text
    assert "1 waiting, 1 failed." in page.text
    fine = Page(campaign_html(campaign([run(1, {}, outcome(2e5))], axes=()), frozenset()))
    assert "All runs are done." in fine.text
    assert "failures" not in fine.anchors


def test_parameters_stand_run_by_run_with_the_spread_of_draws(page):
    (first, second) = page.body("parameter-1")
    assert [text for text, _ in first] == [
        "1",
        "cycle",
        "1.8",
        "2.00 × 10⁵ s⁻¹",
        "(1.80 to 2.20) × 10⁵ s⁻¹",
        "(1.80 to 2.20) × 10⁵ s⁻¹",
    ]
    assert second[-1][0] == "–"
    assert len(page.body("parameter-2")) == 2
    # What nobody refines is not compared.
    assert "parameter-3" not in page.tables


def test_without_draws_nothing_is_said_of_them():
    page = Page(campaign_html(campaign([run(1, {}, outcome(2e5))], axes=(), bootstraps=0), frozenset()))
    assert page.tables["parameter-1"][0] == [("run", None), ("value", None), ("95 % interval", None)]
    assert "its draws" not in page.text


def test_summary_csv(tmp_path):
    rows = rows_of(tmp_path, campaign())
    rate = "rate_constant B->A (1/s)"
    assert list(rows[0])[: len(SUMMARY)] == list(SUMMARY)
    assert list(rows[0])[len(SUMMARY) :][:7] == [
        *(f"axis {axis}" for axis in AXES),
        rate,
        *(f"{rate} {end}" for end in ("lower", "upper", "drawn lower", "drawn upper")),
    ]
    assert [float(rows[0][f"{rate}{end}"]) for end in ("", " lower", " upper", " drawn lower", " drawn upper")] == [
        2e5,
        1.8e5,
        2.2e5,
        1.8e5,
        2.2e5,
    ]
    assert (rows[1]["converged"], rows[1][f"{rate} drawn lower"]) == ("False", "")
    assert (rows[2]["status"], rows[2]["error"]) == ("failed", "ZeroDivisionError: <bad> second line")
    assert (rows[3]["status"], rows[3]["seconds"], rows[3][rate]) == ("waiting", "", "")


def test_parameters_of_several_experiments_are_told_apart(tmp_path):
    runs = [run(1, {}, outcome(2e5)), run(2, {}, outcome(3e5, experiment="310K"))]
    result = campaign(runs, axes=())
    rows = rows_of(tmp_path, result)
    assert rows[0]["298K rate_constant B->A (1/s)"] == "200000"
    assert rows[0]["310K rate_constant B->A (1/s)"] == ""
    assert len(compared_parameters(result)) == 4


def test_campaign_json(tmp_path):
    write_campaign(tmp_path, campaign())
    content = json.loads((tmp_path / "campaign.json").read_text())
    assert content["schema"] == 1
    assert content["runs"][3]["seconds"] is None
    assert content["failures"][1]["trace"] == "Traceback"


def test_picture_has_a_line_for_each_run_and_its_name():
    figure = campaign_figure(campaign())
    rate, enthalpy = figure.axes
    assert [text.get_text() for text in rate.get_yticklabels()] == [
        "scheme cycle, d_min 1.8  1",
        "scheme cycle, d_min 2  2",
    ]
    points = [line for line in rate.lines if len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in points] == [2e5, 3e5]
    intervals = [list(line.get_xdata()) for line in rate.lines if len(line.get_xdata()) == 2]
    assert intervals[0] == pytest.approx([1.8e5, 2.2e5])
    assert len(intervals) == 3
    # One of the schemes alone has led to something; limits tell its runs apart.
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1.8", "2"]
    # Energies may be negative: no logarithm.
    assert enthalpy.get_xscale() == "linear"


def test_picture_of_many_runs_stays_of_a_size_and_rates_far_apart_are_logarithmic():
    runs = [run(number, {"d_min": f"$x^{number}$"}, outcome(10.0 ** (number % 6))) for number in range(1, 201)]
    figure = campaign_figure(campaign(runs, axes=("d_min",)))
    assert figure.get_figheight() < 14.0
    assert figure.axes[0].get_xscale() == "log"
    assert list(figure.axes[0].get_yticks()) == []
    assert not figure.legends
    figure.draw_without_rendering()


def test_a_campaign_without_results_has_a_page():
    page = Page(campaign_html(campaign([run(1, {}, None, "waiting")], axes=()), frozenset()))
    assert "parameters" not in page.anchors
    page = Page(campaign_html(campaign([run(1, {}, outcome(1.0, refined=False))], axes=()), frozenset()))
    assert "parameters" not in page.anchors
