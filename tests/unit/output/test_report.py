"""The report says what the result says, escapes what others named, and needs nothing beside itself."""

import base64
import dataclasses
import json
import re
from importlib import resources

import pytest
from matplotlib.figure import Figure

from tests.unit.output.html_page import Page
from tests.unit.output.report_material import PIXEL, REQUEST, TIMES, bare, full, material
from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.output.report import (
    material_of,
    read_material,
    report_html,
    write_report,
    write_sections_for_report,
)
from torchref_kinetic_plugin.output.report.mechanism import time_constant
from torchref_kinetic_plugin.output.tables import write_tables
from torchref_kinetic_plugin.plugins import ReportSection

EVIL = "<script>alert('&')</script>\"'"


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    return report_html(material(tmp_path_factory.mktemp("full"), everything=True))


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are made but not rendered, which takes most of the time."""
    monkeypatch.setattr(Figure, "savefig", lambda _, buffer, **__: buffer.write(b"<?xml"))
    monkeypatch.setattr(Figure, "draw_without_rendering", lambda _: None)


@pytest.fixture(scope="module")
def result():
    return full()[0]


def test_all_sections_in_their_order(page):
    anchors = [each for each in page.anchors if each not in page.tables]
    assert anchors == [
        "remarks",
        "what-was-asked",
        "data",
        "mechanism",
        "occupancies",
        "agreement",
        "difference-maps",
        "what-moved",
        "uncertainty",
        "validation",
        "of-a-plugin",
        "provenance",
    ]
    assert [each for each in page.addresses if each.startswith("#")] == [f"#{each}" for each in anchors[1:]]


def test_without_optional_parts_their_sections_are_absent(tmp_path):
    page = Page(report_html(material(tmp_path, everything=False)))
    anchors = [each for each in page.anchors if each not in page.tables]
    assert anchors == ["what-was-asked", "occupancies", "agreement", "provenance"]
    assert "gave no reason for a remark" in page.text
    assert "Converged." in page.text


def test_parameters_are_those_of_the_result(page, result):
    rows = page.body("parameters")
    shown = [each for each in result.parameters if not (each.value == 1.0 and not each.refined)]
    assert len(rows) == len(shown) == 4
    for row, each in zip(rows, shown, strict=True):
        assert row[2][1] == each.value
        assert row[6][1] == each.start
    rate, fraction, enthalpy, width = rows
    assert [cell[0] for cell in rate] == [
        "rate constant",
        "B → A",
        "5.01 × 10⁴ s⁻¹",
        "(4.72 to 5.32) × 10⁴ s⁻¹",
        "20.0 µs",
        "18.8 to 21.2 µs",
        "1.00 × 10⁴ s⁻¹",
    ]
    assert rate[4][1] == 1.0 / 5.012e4
    assert [cell[0] for cell in fraction][2:4] == ["0.2987", "0.2917 to 0.3058"]
    assert [cell[0] for cell in enthalpy][2:4] == ["−3.2 kJ mol⁻¹", "−4.5 to −1.9 kJ mol⁻¹"]
    assert width[3][0] == "not determined"


def test_the_interval_of_a_time_constant_is_that_of_its_rate_inverted(result):
    each = result.parameters[0]
    tau, low, high = time_constant(each)
    assert (tau, low, high) == (1.0 / each.value, 1.0 / each.upper, 1.0 / each.lower)
    assert time_constant(dataclasses.replace(each, lower=0.0))[2] == float("inf")
    assert time_constant(dataclasses.replace(each, lower=None, upper=None))[1:] == (None, None)


def test_every_number_of_the_tables_is_that_of_the_result(page, result):
    for row, each in zip(page.body("data-table"), result.datasets, strict=True):
        assert [cell[1] for cell in row] == [
            None, each.time_s, None, each.n_reflections, each.d_min, each.completeness, each.r_reference, each.difference_over_sigma,
        ]  # fmt: skip
    rows = page.body("occupancies-cold")
    assert [cell[1] for row in rows for cell in row[2:]] == [each.occupancy for each in result.occupancies]
    assert rows[0][2][0] == f"{result.occupancies[0].occupancy:.3f} ± 0.020"
    before, after = result.statistics[:4], result.statistics[4:]
    for row, old, new in zip(page.body("agreement-table"), before, after, strict=True):
        assert [cell[1] for cell in row[1:]] == [
            new.n_work, new.n_free, new.r_work, new.r_free, new.cc_diff_work, new.cc_diff_free, old.r_work, old.r_free, old.cc_diff_free,
        ]  # fmt: skip
    for row, each in zip(page.body("shifts-table"), result.shifts, strict=True):
        assert [cell[1] for cell in row[2:5]] == [each.n_atoms, each.rms, each.maximum]
    (row,) = page.body("geometry-table")
    assert [cell[1] for cell in row[1:]] == [600, 0.0123, 820, 1.61]
    found = result.validation
    (row,) = page.body("left-out")
    assert [cell[1] for cell in row[1:]] == [2900, 0.37, 0.41, -1234.5]
    for row, test in zip(page.body("scheme-tests"), found.scheme_tests, strict=True):
        assert [cell[1] for cell in row[1:]] == [test.statistic, test.freedom, test.p_value]
    (row,) = page.body("null-tests")
    assert [cell[1] for cell in row[1:]] == pytest.approx([0.012, 0.004, 3.0])
    for row, free in zip(page.body("free-occupancies"), found.free_occupancies, strict=True):
        assert [cell[1] for cell in row[2:]] == pytest.approx([free.occupancy, 0.008, free.occupancy - 0.01, 1.25])
    rows = page.body("standard-errors")
    assert [cell[1] for cell in rows[0][1:]] == pytest.approx([0.031, 0.035, 0.035 / 0.031])


def test_what_is_shown_of_a_number_agrees_with_what_is_behind_it(page):
    checked = 0
    for rows in page.tables.values():
        for row in rows:
            for text, value in row:
                match = re.fullmatch(r"(−?[\d.]+)(?: × 10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?", text)
                if value is None or match is None:
                    continue
                exponent = int((match[2] or "0").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
                shown = float(match[1].replace("−", "-")) * 10.0**exponent
                decimals = len(match[1].partition(".")[2])
                behind = 100.0 * value if value <= 1.0 and shown > 10.0 else value
                assert shown == pytest.approx(behind, abs=0.5001 * 10.0 ** (exponent - decimals))
                checked += 1
    assert checked > 70


def test_profiles_and_resampling_stand_beside_the_curvature(page):
    (row,) = page.body("profiles")
    assert [cell[0] for cell in row[2:]] == ["5.01 × 10⁴ s⁻¹", "(4.71 to ∞) × 10⁴ s⁻¹", "(4.72 to 5.32) × 10⁴ s⁻¹"]
    (row,) = page.body("bootstrap")
    assert row[5][1] == 60
    assert row[4][0] == "0.2917 to 0.3058"
    assert "rate constant B → A: flat above" in page.text


def test_remarks_stand_before_all_else(page):
    assert page.text.index("the last step still promised a gain") < page.text.index("Occupancies from")
    assert "Not converged." in page.text


def test_what_was_asked(page):
    for words in ("A → B", "the trigger acts once", "A: dark, B: I1", "280 K", "to 1.8 Å", "1 µs, 10 µs, ∞"):
        assert words in page.text


def test_origin(page):
    for words in ("torchref-kinetic-plugin 0.1.0", "0" * 64, "12.3 s", 'occupancy = "kinetics"'):
        assert words in page.text


def test_nothing_is_fetched_and_nothing_runs(page, html):
    assert "script" not in page.tags
    assert "link" not in page.tags
    for address in page.addresses:
        assert address.startswith(("#", "data:image/svg+xml;base64,", "data:image/png;base64,")), address[:60]
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_pictures_are_whole(page):
    pictures = [each for each in page.addresses if each.startswith("data:")]
    # Scheme, occupancies, R, two maps of residuals, history, map view, shifts, correlations, profile, bootstrap, plugin.
    assert len(pictures) == 12
    for each in pictures:
        content = base64.b64decode(each.partition(",")[2], validate=True)
        assert content.startswith((b"<?xml", b"\x89PNG"))
    assert pictures.count("data:image/png;base64," + base64.b64encode(PIXEL).decode()) == 2
    assert "The picture gone.png is not there" in page.text


@pytest.mark.usefixtures("undrawn")
def test_laws_of_temperature_are_shown_where_they_were_drawn(tmp_path):
    given = material(tmp_path, everything=True)
    without = Page(report_html(given))
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "rate_laws.svg").write_bytes(b"<svg/>")
    page = Page(report_html(given))
    assert set(page.addresses) - set(without.addresses) == {
        "data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode()
    }
    assert "Rate constants against reciprocal temperature" in page.text


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("figure", ["../private.png", "/private.png", "link.png"])
def test_pictures_from_elsewhere_are_not_shown(tmp_path, figure):
    output = tmp_path / "refined"
    output.mkdir()
    (tmp_path / "private.png").write_bytes(PIXEL)
    (output / "link.png").symlink_to("../private.png")
    name = figure if figure != "/private.png" else str(tmp_path / "private.png")
    sections = (ReportSection("Of a plugin", figures=(name,)),)
    page = Page(report_html(dataclasses.replace(material(output, everything=False), sections=sections)))
    assert f"The picture {name} is not there, lies elsewhere" in page.text
    assert "data:image/png;base64," + base64.b64encode(PIXEL).decode() not in page.addresses


def test_names_of_others_are_escaped(tmp_path):
    def renamed(rows, **changes):
        return tuple(dataclasses.replace(each, **changes) for each in rows)

    names = {"dark": "dark", "I1": EVIL}
    result = full()[0]
    result = dataclasses.replace(
        result,
        title=EVIL,
        structures=("dark", EVIL),
        occupancies=tuple(
            dataclasses.replace(each, structure=names[each.structure], timepoint=EVIL + each.timepoint)
            for each in result.occupancies
        ),
        curves=tuple(dataclasses.replace(each, structure=names[each.structure]) for each in result.curves),
        statistics=tuple(dataclasses.replace(each, dataset=EVIL + each.dataset) for each in result.statistics),
        remarks=(EVIL,),
        datasets=renamed(result.datasets, name=EVIL, file=EVIL),
        map_views=renamed(result.map_views, structure=EVIL, timepoint=EVIL, residue=EVIL),
        shifts=renamed(result.shifts, structure=EVIL, residue=EVIL),
        inputs={EVIL: EVIL},
        versions={EVIL: EVIL},
    )
    sections = (ReportSection(EVIL, EVIL, (EVIL,), ((EVIL,),), (EVIL,)),)
    given = dataclasses.replace(
        material(tmp_path, everything=True),
        result=result,
        request=REQUEST.replace("dark.mtz", "<script>").replace("A->B,B->A", "A->B,B->A"),
        sections=sections,
    )
    html = report_html(given)
    page = Page(html)
    assert "<script" not in html
    assert "script" not in page.tags
    assert page.texts.count(EVIL) >= 12
    for each in page.addresses:
        assert b"<script" not in base64.b64decode(each.partition(",")[2])


def test_the_same_material_gives_the_same_page(html, tmp_path):
    assert report_html(material(tmp_path, everything=True)) == html


@pytest.mark.usefixtures("undrawn")
def test_several_experiments_are_named_in_every_table(tmp_path):
    result = full()[0]
    warm = tuple(dataclasses.replace(each, experiment="warm") for each in result.statistics)
    more = tuple(dataclasses.replace(each, experiment="warm") for each in result.occupancies)
    given = dataclasses.replace(
        material(tmp_path, everything=True),
        result=dataclasses.replace(
            result, statistics=(*result.statistics, *warm), occupancies=(*result.occupancies, *more)
        ),
    )
    page = Page(report_html(given))
    for anchor in ("parameters", "agreement-table", "left-out", "null-tests", "free-occupancies", "profiles"):
        assert page.tables[anchor][0][0][0] == "experiment"
    assert [row[0][0] for row in page.body("parameters")] == ["cold", "cold", "all", "cold"]
    assert len(page.body("occupancies-warm")) == len(TIMES)


def written(tmp_path, *, profile=None):
    """An output directory as a refinement leaves it, perhaps with profiles."""
    given = material(tmp_path, everything=True)
    write_sections_for_report(given.sections, tmp_path)
    write_tables(tmp_path, given.result)
    if profile is not None:
        (tmp_path / "profiles.json").write_text(json.dumps({"profiles": [dataclasses.asdict(profile)]}))
    return given


@pytest.mark.usefixtures("undrawn")
def test_a_report_made_again_takes_in_what_came_later(tmp_path):
    given = written(tmp_path, profile=full()[1][0][0])
    (tmp_path / "bootstrap.json").write_text(json.dumps({"estimates": [dataclasses.asdict(given.bootstrap[0])]}))
    again = read_material(tmp_path)
    assert (again.profiles, again.bootstrap, again.sections) == (given.profiles, given.bootstrap, given.sections)
    assert report_html(again) == report_html(given)
    assert write_report(again) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text() == report_html(given)


def test_a_refinement_that_has_just_ended_takes_nothing_of_an_earlier_one(tmp_path):
    given = written(tmp_path, profile=full()[1][0][0])
    assert material_of(given.result, tmp_path).profiles == ()


@pytest.mark.usefixtures("undrawn")
def test_profiles_of_another_result_are_left_out_and_said(tmp_path):
    profile = full()[1][0][0]
    written(tmp_path, profile=dataclasses.replace(profile, value=1.2 * profile.value))
    again = read_material(tmp_path)
    assert again.profiles == ()
    assert again.remarks == ("profiles.json belongs to another result (B->A) and is not shown",)
    assert "belongs to another result" in Page(report_html(again)).text


def test_a_directory_without_a_result_is_refused(tmp_path):
    with pytest.raises(FileError, match=r"has no result\.json"):
        read_material(tmp_path)
    write_tables(tmp_path, bare())
    with pytest.raises(FileError, match=r"no such file.*refinement\.toml"):
        read_material(tmp_path)


def test_sections_of_an_earlier_run_do_not_stay(tmp_path):
    written(tmp_path)
    write_sections_for_report((), tmp_path)
    assert not (tmp_path / "sections.json").exists()
    assert read_material(tmp_path).sections == ()


def test_template_and_style_sheet_are_in_the_package():
    names = {each.name for each in (resources.files("torchref_kinetic_plugin.output.report") / "templates").iterdir()}
    assert names == {"page.html", "style.css"}
