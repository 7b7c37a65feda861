"""What a user has to know of crystal forms, in words."""

from __future__ import annotations

from collections.abc import Sequence

from torchref_kinetic_plugin.workflow.joint_setup import JointSetup


def form_remarks(setup: JointSetup) -> list[str]:
    """Which experiments share atoms, and how far the forms' references are apart; nothing where there is one form."""
    if len(setup.forms) == 1:
        return []
    names = [each.model.data.name for each in setup.experiments]
    shared = [", ".join(names[number] for number in form.experiments) for form in setup.forms]
    lengths = [f"{each.rms:.3f} A in {form.name}" for form, each in zip(setup.forms, setup.superpositions, strict=True)]
    name = setup.forms[0].structures.names[0]
    return [
        f"{len(setup.forms)} crystal forms, each with its own copy of the structures: {'; '.join(shared)}",
        f"after superposition {name} lies from the mean of the forms, r.m.s. over common atoms without hydrogens and "
        f"waters, {', '.join(lengths)}",
    ]


def width_remarks(setup: JointSetup, widths: Sequence[float | None]) -> list[str]:
    """Widths that the first cycle found for the restraints of displacements."""
    found = []
    own = widths[: len(setup.forms)]
    known = [(form.name, width) for form, width in zip(setup.forms, own, strict=True) if width is not None]
    if known:
        each = [f"{width:.2f} A" + (f" in {name}" if len(setup.forms) > 1 else "") for name, width in known]
        found.append(
            f"displacements of bonded atoms are restrained to each other with a width of {', '.join(each)}, found from "
            "the first cycle"
        )
    found += [
        "displacements of an intermediate's atoms in the crystal forms are restrained to their mean with a width of "
        f"{width:.2f} A, found from the first cycle"
        for width in widths[len(setup.forms) :]
        if width is not None
    ]
    return found
