"""What a page is made of: sections of words, terms, tables and pictures; text only, escaped when it is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final


@final
@dataclass(frozen=True)
class Cell:
    """One entry of a table.

    Attributes
    ----------
    text : str
        As shown.
    value : float or None
        The number behind it, in full, in the unit of the result; None where there is none.
    note : str
        Smaller, after the text.
    link : str
        A file beside the page that the text leads to.
    """

    text: str
    value: float | None = None
    note: str = ""
    link: str = ""


@final
@dataclass(frozen=True)
class Column:
    """Heading of a column: what it is, its unit, and whether it holds numbers."""

    title: str
    unit: str = ""
    number: bool = True


@final
@dataclass(frozen=True)
class Table:
    """A table; every row has one entry for each column.

    Attributes
    ----------
    caption : str
        Above it.
    columns : tuple of Column
        Their headings.
    rows : tuple of tuple of Cell
        Their entries.
    note : str
        Below it, smaller.
    anchor : str
        Where tests and links find it.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    anchor: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.caption!r}: a row has {len(row)} entries for {len(self.columns)} columns")


@final
@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes
    ----------
    source : str
        A ``data:`` address that holds all of it.
    alternative : str
        What it shows, for who does not see it.
    caption : str
        Below it.
    width : int
        In pixels of the page, where there is room.
    """

    kind: ClassVar[str] = "picture"
    source: str
    alternative: str
    caption: str
    width: int


@final
@dataclass(frozen=True)
class Words:
    """Paragraphs."""

    kind: ClassVar[str] = "words"
    paragraphs: tuple[str, ...]


@final
@dataclass(frozen=True)
class Bullets:
    """A list of sentences; ``warning`` sets it off."""

    kind: ClassVar[str] = "bullets"
    entries: tuple[str, ...]
    warning: bool = False


@final
@dataclass(frozen=True)
class Terms:
    """What is asked, and the answer; an answer may have several lines."""

    kind: ClassVar[str] = "terms"
    entries: tuple[tuple[str, tuple[str, ...]], ...]


@final
@dataclass(frozen=True)
class Verbatim:
    """Text as it stands in a file."""

    kind: ClassVar[str] = "verbatim"
    caption: str
    text: str


Block = Table | Picture | Words | Bullets | Terms | Verbatim


@final
@dataclass(frozen=True)
class Section:
    """A part of the page with a heading."""

    title: str
    anchor: str
    blocks: tuple[Block, ...]


def section(title: str, blocks: Sequence[Block]) -> Section | None:
    """A section, or none where there is nothing to show."""
    anchor = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    return Section(title, anchor, tuple(blocks)) if blocks else None
