"""Sections of plugins, and on where everything came from."""

from __future__ import annotations

from torchref_kinetic_plugin.output.report.blocks import (
    Block,
    Bullets,
    Cell,
    Column,
    Section,
    Table,
    Terms,
    Verbatim,
    Words,
    section,
)
from torchref_kinetic_plugin.output.report.material import REQUEST, ReportMaterial
from torchref_kinetic_plugin.output.report.pictures import from_file
from torchref_kinetic_plugin.plugins import ReportSection

#: Width of a plugin's picture, pixels of the page.
_WIDTH = 700


def plugin_sections(material: ReportMaterial) -> list[Section]:
    """What plugins add, each as a section of its own."""
    found = (_of_plugin(material, each) for each in material.sections)
    return [each for each in found if each is not None]


def provenance(material: ReportMaterial) -> Section | None:
    """Versions, seed, time, input files with their hashes, and the refinement file as it was understood."""
    result = material.result
    terms = Terms(
        (
            ("Software", tuple(f"{name} {version}" for name, version in result.versions.items())),
            ("Seed", (str(result.seed),)),
            ("Time", (_duration(result.seconds),)),
        )
    )
    files = Table(
        "Input files.",
        (Column("file", number=False), Column("SHA-256", number=False)),
        tuple((Cell(name), Cell(digest)) for name, digest in result.inputs.items()),
        "",
        "inputs",
    )
    blocks: list[Block] = [terms]
    if result.inputs:
        blocks.append(files)
    blocks.append(Verbatim(f"The refinement file as it was understood ({REQUEST}).", material.request.strip()))
    return section("Provenance", blocks)


def _of_plugin(material: ReportMaterial, each: ReportSection) -> Section | None:
    blocks: list[Block] = []
    paragraphs = tuple(" ".join(part.split()) for part in each.text.split("\n\n") if part.strip())
    if paragraphs:
        blocks.append(Words(paragraphs))
    if each.columns:
        columns = tuple(Column(title, number=number > 0) for number, title in enumerate(each.columns))
        blocks.append(Table("", columns, tuple(tuple(Cell(entry) for entry in row) for row in each.rows)))
    for figure in each.figures:
        path = material.directory / figure
        inside = path.resolve().is_relative_to(material.directory.resolve())
        picture = None if not inside else from_file(path, alternative=figure, caption="", width=_WIDTH)
        if picture is None:
            blocks.append(
                Bullets(
                    (f"The picture {figure} is not there, lies elsewhere, or is no PNG, SVG, JPEG, GIF or WebP.",),
                    warning=True,
                )
            )
        else:
            blocks.append(picture)
    return section(" ".join(each.title.split()), blocks or [Words(())])


def _duration(seconds: float) -> str:
    if seconds < 120.0:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60.0)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
