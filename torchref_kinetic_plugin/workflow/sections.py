"""What plugins add to the report, as one file of text beside the result."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

from torchref_kinetic_plugin.files import write_text
from torchref_kinetic_plugin.plugins import PluginError, PluginManager, ReportSection
from torchref_kinetic_plugin.results import RefinementResult

_log = logging.getLogger(__name__)

#: Name of the file.
SECTIONS = "sections.md"


def write_sections(plugins: PluginManager, result: RefinementResult, directory: Path) -> RefinementResult:
    """Ask every plugin for its sections and write them into a directory.

    A file that an earlier run left is replaced, and removed when there is no section any more.

    Parameters
    ----------
    plugins : PluginManager
        Is asked.
    result : RefinementResult
        What plugins are given.
    directory : path
        Where `SECTIONS` is written, and what the report is made of.

    Returns
    -------
    RefinementResult
        The result, with a remark for each plugin that failed: a section that is missing costs nobody a refinement.

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    from torchref_kinetic_plugin.output.report import write_sections_for_report

    failures: list[PluginError] = []
    sections = plugins.report_sections(result, on_failure=failures.append)
    for failure in failures:
        _log.warning("%s", failure)
    write_sections_for_report(sections, directory)
    if sections:
        write_text(directory / SECTIONS, sections_text(sections))
    else:
        (directory / SECTIONS).unlink(missing_ok=True)
    remarks = (f"no section of the report from {failure}" for failure in failures)
    return dataclasses.replace(result, remarks=(*result.remarks, *remarks))


def sections_text(sections: Sequence[ReportSection]) -> str:
    """Sections as Markdown: heading, paragraphs, table, figures."""
    return "\n".join("\n\n".join(_blocks(section)) + "\n" for section in sections)


def _blocks(section: ReportSection) -> list[str]:
    blocks = [f"## {_one_line(section.title)}"]
    if text := section.text.strip():
        blocks.append(text)
    if section.columns:
        rows = [section.columns, tuple("---" for _ in section.columns), *section.rows]
        blocks.append("\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in rows))
    blocks += [f"![{Path(figure).stem}]({figure})" for figure in section.figures]
    return blocks


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _one_line(text).replace("|", r"\|")
