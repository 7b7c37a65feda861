"""Restraints of the atoms of one or several crystal forms, whose rows stand one block after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import final

from torch import Tensor

from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues
from torchref_kinetic_plugin.refinement.atom_terms import AtomRestraints
from torchref_kinetic_plugin.refinement.sibling_terms import SiblingRestraint


@final
@dataclass(frozen=True, eq=False)
class FormRestraints:
    """What `AtomRestraints` are for one form, for all of them; the term ``siblings`` is there where there are several.

    Attributes
    ----------
    forms : tuple of AtomRestraints
        Of each form, in its own frame.
    blocks : tuple of slice
        Rows of each form.
    siblings : SiblingRestraint or None
        Between the forms.
    """

    forms: tuple[AtomRestraints, ...]
    blocks: tuple[slice, ...]
    siblings: SiblingRestraint | None = None

    def __call__(self, values: AtomValues) -> dict[str, Tensor]:
        """Terms by kind, summed over the forms."""
        terms: dict[str, Tensor] = {}
        for form, block in zip(self.forms, self.blocks, strict=True):
            for kind, term in form(values.rows(block)).items():
                terms[kind] = terms[kind] + term if kind in terms else term
        if self.siblings is not None:
            terms["siblings"] = self.siblings(values)
        return terms

    @property
    def widths(self) -> tuple[float | None, ...]:
        """Of the distributions of displacements: of bonded atoms in each form, then of siblings."""
        own = tuple(form.width for form in self.forms)
        return own if self.siblings is None else (*own, self.siblings.width)

    def set_widths(self, widths: Sequence[float | None]) -> None:
        """Set what `widths` gives."""
        restraints = [*self.forms, *(() if self.siblings is None else (self.siblings,))]
        for restraint, width in zip(restraints, widths, strict=True):
            restraint.width = width

    def typical_widths(self, values: AtomValues) -> tuple[float, ...]:
        """Widths that leave most displacements where they are."""
        own = tuple(form.typical_width(values.rows(block)) for form, block in zip(self.forms, self.blocks, strict=True))
        return own if self.siblings is None else (*own, self.siblings.typical_width(values))

    def update_contacts(self, values: AtomValues) -> None:
        """Search anew for atoms that may touch, form by form."""
        for form, block in zip(self.forms, self.blocks, strict=True):
            form.geometry.update_contacts(values.rows(block))

    @contextmanager
    def expecting(self, values: AtomValues) -> Iterator[None]:
        """Within it motions are alike when they are those of these values; siblings stay alike as they were."""
        with ExitStack() as stack:
            for form, block in zip(self.forms, self.blocks, strict=True):
                stack.enter_context(form.expecting(values.rows(block)))
            yield
