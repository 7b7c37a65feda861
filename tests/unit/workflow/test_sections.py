import dataclasses

from tests.unit.plugins import fakes
from torchref_kinetic_plugin.plugins import PluginManager, ReportSection
from torchref_kinetic_plugin.results import RefinementResult, read_list
from torchref_kinetic_plugin.workflow.sections import sections_text, write_sections

NOTHING = {field.name: () for field in dataclasses.fields(RefinementResult)}
RESULT = RefinementResult(**NOTHING | {"provider": "decay", "remarks": ("cold",)})


def manager(**plugins):
    return PluginManager(
        entry_points=[fakes.Installed(n, fakes.plugin(report_sections=hook)) for n, hook in plugins.items()]
    )


def test_a_section_as_text():
    sections = [
        ReportSection("One\nline", "First.\n\nSecond.\n", ("what", "value"), (("a|b", "1"), ("c", "2")), ("x/p.png",)),
        ReportSection("Two"),
    ]
    assert sections_text(sections) == (
        "## One line\n\nFirst.\n\nSecond.\n\n"
        "| what | value |\n| --- | --- |\n| a\\|b | 1 |\n| c | 2 |\n\n"
        "![p](x/p.png)\n\n## Two\n"
    )


def test_sections_of_all_plugins_are_written_in_their_order(tmp_path):
    def first(result):
        return [ReportSection(f"A of {result.provider}")]

    plugins = manager(a=first, b=lambda: [ReportSection("B")], c=lambda: ())
    assert write_sections(plugins, RESULT, tmp_path) == RESULT
    assert (tmp_path / "sections.md").read_text() == "## A of decay\n\n## B\n"
    assert read_list(tmp_path / "sections.json", ReportSection) == (
        ReportSection("A of decay"),
        ReportSection("B"),
    )


def test_a_plugin_that_fails_is_remarked_and_the_others_are_written(tmp_path, caplog):
    def broken():
        raise ZeroDivisionError("by me")

    result = write_sections(manager(a=broken, b=lambda: "text", c=lambda: [ReportSection("C")]), RESULT, tmp_path)
    assert (tmp_path / "sections.md").read_text() == "## C\n"
    cold, first, second = result.remarks
    assert cold == "cold"
    assert "plugin 'a'" in first
    assert "ZeroDivisionError: by me" in first
    assert "plugin 'b'" in second
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_sections_of_an_earlier_run_do_not_stay(tmp_path):
    (tmp_path / "sections.md").write_text("## Old\n")
    write_sections(manager(), RESULT, tmp_path)
    assert list(tmp_path.iterdir()) == []
