"""What a plugin adds to the report."""

from __future__ import annotations

from dataclasses import dataclass

from torchref_kinetic_plugin.errors import InputError


@dataclass(frozen=True)
class ReportSection:
    """A section of the report: words, at most one table, and figures.

    Attributes
    ----------
    title : str
        Heading.
    text : str
        Plain text; an empty line starts a new paragraph. It is escaped, never read as HTML.
    columns : tuple of str
        Headings of the table, with units; none without a table.
    rows : tuple of tuple of str
        Its rows, as text that is ready to be shown.
    figures : tuple of str
        Picture files, relative to the run directory.

    Raises
    ------
    InputError
        For no title, or a row that has not one entry for each column.
    """

    title: str
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    figures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise InputError("a section of the report needs a title")
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise InputError(
                    f"row {number} of section {self.title!r} has {len(row)} entries for {len(self.columns)} columns"
                )
