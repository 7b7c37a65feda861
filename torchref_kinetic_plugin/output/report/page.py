"""A page that needs nothing beside itself: one template, one style sheet; what it shows is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, final

from torchref_kinetic_plugin.output.report.blocks import Cell, Section

if TYPE_CHECKING:
    from jinja2 import Template


@final
@dataclass(frozen=True)
class KeyNumber:
    """One of the few numbers at the top."""

    title: str
    cell: Cell


@final
@dataclass(frozen=True)
class Verdict:
    """A word on the whole, after the subtitle."""

    text: str
    good: bool


def page_html(
    *,
    title: str,
    subtitle: str,
    verdict: Verdict,
    key_numbers: Sequence[KeyNumber],
    remarks: Sequence[str],
    nothing: str,
    sections: Sequence[Section],
) -> str:
    """One HTML page: no script, no style sheet, no picture beside it, no network.

    Parameters
    ----------
    title, subtitle : str
        Its head.
    verdict : Verdict
        After the subtitle.
    key_numbers : sequence of KeyNumber
        Below it.
    remarks : sequence of str
        What a reader has to know, and ``nothing`` where there is none.
    nothing : str
        As above.
    sections : sequence of Section
        In their order.
    """
    return _template().render(
        title=title,
        subtitle=subtitle,
        verdict=verdict,
        key_numbers=key_numbers,
        remarks=remarks,
        nothing=nothing,
        sections=_with_own_anchors(sections),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("torchref_kinetic_plugin.output.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _with_own_anchors(sections: Sequence[Section]) -> list[Section]:
    """The sections, none with the anchor of another: titles of plugins may repeat."""
    taken: set[str] = set()
    found = []
    for each in sections:
        anchor, number = each.anchor, 2
        while anchor in taken:
            anchor, number = f"{each.anchor}-{number}", number + 1
        taken.add(anchor)
        found.append(Section(each.title, anchor, each.blocks))
    return found
