"""Sections on what moved: difference maps, displacements, geometry."""

from __future__ import annotations

from matplotlib.figure import Figure

from torchref_kinetic_plugin.output.cycle_figures import shifts_figure
from torchref_kinetic_plugin.output.report.blocks import Block, Bullets, Cell, Column, Section, Table, Words, section
from torchref_kinetic_plugin.output.report.material import ReportMaterial
from torchref_kinetic_plugin.output.report.numbers import count, delay_text, fixed
from torchref_kinetic_plugin.output.report.pictures import drawn, from_file
from torchref_kinetic_plugin.results import RefinementResult

#: Width of a map view, pixels of the page.
_VIEW = 800
#: Residues of the table of displacements, the furthest.
_MOST = 25

_EXPLAINED = (
    "Where a structure has moved most, at the timepoint at which it is most occupied: the weighted difference of the "
    "observed amplitudes on the phases of the reference, and the same of the model, with the same weights, reflections "
    "and contours. Each picture is a slab through the residue; of the densities along the line of sight the strongest "
    "is drawn. A difference map shows about half the density of a change, since only its component along the reference "
    "is seen."
)


def difference_maps(material: ReportMaterial) -> Section | None:
    """Pictures of the maps at the residues that moved most."""
    blocks: list[Block] = []
    missing = []
    many = len(material.experiments) > 1
    for view in material.result.map_views:
        where = f"{view.experiment}, " if many else ""
        title = f"{view.residue} in {view.structure}, {where}{delay_text(view.time_s)}"
        caption = (
            f"{title} (occupancy {view.occupancy:.2f}; moved by {view.rms_shift:.2f} Å r.m.s.). First contour "
            f"±{view.level:.3f} e Å⁻³, {view.sigma:g} σ of the observed map. Correlation of the two maps within 2 Å of "
            f"the atoms: {view.correlation:.2f}."
        )
        picture = from_file(
            material.directory / view.file, alternative=f"Difference maps at {title}", caption=caption, width=_VIEW
        )
        if picture is None:
            missing.append(f"The picture {view.file} is not there any more.")
        else:
            blocks.append(picture)
    if blocks:
        blocks.insert(0, Words((_EXPLAINED,)))
    if missing:
        blocks.append(Bullets(tuple(missing), warning=True))
    return section("Difference maps", blocks)


def displacements(material: ReportMaterial) -> Section | None:
    """What moved, residue by residue, and the geometry of the structures."""
    result = material.result
    blocks: list[Block] = []
    if result.shifts:
        blocks.append(
            drawn(
                lambda: _shifts_figure(result),
                alternative="Displacement of each residue against the reference",
                caption="Displacement of each residue against the reference, r.m.s. over its atoms, with the standard "
                "error of a position in three dimensions.",
            )
        )
        blocks.append(_shifts(material))
    if result.geometry:
        blocks.append(_geometry(material))
    return section("What moved", blocks)


def _shifts_figure(result: RefinementResult) -> Figure:
    figure = shifts_figure(result)
    figure.axes[0].set_title("")
    return figure


def _shifts(material: ReportMaterial) -> Table:
    rows = sorted(material.result.shifts, key=lambda each: -each.rms)
    many = len({each.experiment for each in rows}) > 1
    columns = (
        *([Column("crystal form", number=False)] if many else []),
        Column("structure", number=False),
        Column("residue", number=False),
        Column("atoms"),
        Column("r.m.s. shift", "Å"),
        Column("largest", "Å"),
        Column("of atom", number=False),
        Column("standard error", "Å"),
    )
    cells = tuple(
        (
            *([Cell(each.experiment)] if many else []),
            Cell(each.structure),
            Cell(each.residue),
            count(each.n_atoms),
            fixed(each.rms, 2),
            fixed(each.maximum, 2),
            Cell(each.furthest),
            fixed(each.std_error, 3),
        )
        for each in rows[:_MOST]
    )
    left = len(rows) - len(cells)
    note = "Standard error: of a position along one axis." + (
        f" The {_MOST} furthest of {len(rows)}; all are in structures/shifts.csv." if left > 0 else ""
    )
    return Table("Residues that moved furthest.", columns, cells, note, "shifts-table")


def _geometry(material: ReportMaterial) -> Table:
    rows = material.result.geometry
    many = len({each.experiment for each in rows}) > 1
    columns = (
        *([Column("crystal form", number=False)] if many else []),
        Column("structure", number=False),
        Column("bonds"),
        Column("r.m.s. deviation", "Å"),
        Column("angles"),
        Column("r.m.s. deviation", "°"),
    )
    cells = tuple(
        (
            *([Cell(each.experiment)] if many else []),
            Cell(each.structure),
            count(each.n_bonds),
            fixed(each.rms_bonds, 4),
            count(each.n_angles),
            fixed(each.rms_angles, 2),
        )
        for each in rows
    )
    return Table("Deviations from ideal geometry.", columns, cells, "", "geometry-table")
