"""The report: its head, its sections in order, and the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torchref_kinetic_plugin.files import write_text
from torchref_kinetic_plugin.output.report.agreement import agreement, last_statistics
from torchref_kinetic_plugin.output.report.blocks import Section
from torchref_kinetic_plugin.output.report.material import ReportMaterial
from torchref_kinetic_plugin.output.report.mechanism import mechanism
from torchref_kinetic_plugin.output.report.numbers import count, fixed
from torchref_kinetic_plugin.output.report.page import KeyNumber, Verdict, page_html
from torchref_kinetic_plugin.output.report.populations import occupancies
from torchref_kinetic_plugin.output.report.provenance import plugin_sections, provenance
from torchref_kinetic_plugin.output.report.request import asked, data
from torchref_kinetic_plugin.output.report.structures import difference_maps, displacements
from torchref_kinetic_plugin.output.report.uncertainty import uncertainty
from torchref_kinetic_plugin.output.report.validation import validation

#: Name of the file.
REPORT = "report.html"
#: The parts of a report before those of plugins; each is left out where there is nothing to show.
_SECTIONS: tuple[Callable[[ReportMaterial], Section | None], ...] = (
    asked,
    data,
    mechanism,
    occupancies,
    agreement,
    difference_maps,
    displacements,
    uncertainty,
    validation,
)


def write_report(material: ReportMaterial) -> Path:
    """Write the report into the output directory, whole or not at all.

    Raises
    ------
    FileError
        When it cannot be written.
    """
    path = material.directory / REPORT
    write_text(path, report_html(material))
    return path


def report_html(material: ReportMaterial) -> str:
    """The report as one HTML page that needs nothing beside itself: no script, no style sheet, no picture, no network.

    Whatever a user or a plugin can name is escaped.
    """
    result = material.result
    parts = [part(material) for part in _SECTIONS]
    sections = [each for each in (*parts, *plugin_sections(material), provenance(material)) if each is not None]
    return page_html(
        title=result.title or "Kinetic refinement",
        subtitle=_subtitle(material),
        verdict=Verdict("Converged.", good=True) if result.converged else Verdict("Not converged.", good=False),
        key_numbers=_key_numbers(material),
        remarks=[*result.remarks, *material.remarks],
        nothing="Data, scheme and fit gave no reason for a remark.",
        sections=sections,
    )


def _subtitle(material: ReportMaterial) -> str:
    result = material.result
    datasets = len({(each.experiment, each.dataset) for each in result.statistics})
    experiments = len(material.experiments)
    text = f"Kinetic refinement of {len(result.structures)} structures against {datasets} datasets"
    return text + (f" of {experiments} experiments" if experiments > 1 else "")


def _key_numbers(material: ReportMaterial) -> list[KeyNumber]:
    result = material.result
    r_work, r_free, correlation = last_statistics(result)
    return [
        KeyNumber("observations", count(result.n_observations_work)),
        KeyNumber("free", count(result.n_observations_free)),
        KeyNumber("parameters", count(result.n_parameters)),
        KeyNumber("R-work", fixed(r_work, 4)),
        KeyNumber("R-free", fixed(r_free, 4)),
        KeyNumber("CC(ΔF), free", fixed(correlation, 3)),
    ]
