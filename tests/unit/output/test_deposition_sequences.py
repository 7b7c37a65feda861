"""Sequences of polymers that structures need not share."""

from __future__ import annotations

import gemmi

from tests.unit.structures import models
from torchref_kinetic_plugin.output.deposition.sequences import Place, chain_sequences


def peptide(names, first=1):
    made = models.peptide(n_residues=len(names), waters=0)
    for number, (residue, name) in enumerate(zip(made[0]["A"], names, strict=True), start=first):
        residue.name, residue.seqid = name, gemmi.SeqId(str(number))
    made.setup_entities()
    return made


def without(structure, *numbers):
    copy = structure.clone()
    for number in reversed(range(len(copy[0]["A"]))):
        if copy[0]["A"][number].seqid.num in numbers:
            del copy[0]["A"][number]
    return copy


def with_header(structure, names):
    copy = structure.clone()
    copy.entities[0].full_sequence = list(names)
    return copy


WHOLE = ("GLY", "ALA", "SER", "LEU", "VAL", "THR")


def test_residues_that_some_structures_lack_have_their_place():
    whole = peptide(WHOLE)
    for order in ([without(whole, 3, 4), without(whole, 1), whole], [without(whole, 3, 4), without(whole, 1, 6)]):
        sequences, assignments = chain_sequences(order)
        (only,) = sequences["A"]
        assert only.names == WHOLE
        assert [place.number for place in only.seq_id] == [1, 2, 3, 4, 5, 6]
        assert all(set(each.values()) == {0} for each in assignments)


def test_the_sequence_of_the_headers_counts_what_is_not_modelled():
    header = ("MET", "HIS", *WHOLE, "HIS")
    modelled = with_header(without(peptide(WHOLE, first=10), 12), header)
    (only,) = chain_sequences([modelled, modelled.clone()])[0]["A"]
    assert only.names == header
    assert only.seq_id[Place(10, "")] == 3
    numbers = only.author_numbers()
    assert [numbers[n][0] for n in range(1, 10)] == [8, 9, 10, 11, 12, 13, 14, 15, 16]


def test_headers_that_differ_are_not_used():
    one, other = with_header(peptide(WHOLE), ("MET", *WHOLE)), with_header(peptide(WHOLE), WHOLE)
    (only,) = chain_sequences([one, other])[0]["A"]
    assert only.names == WHOLE


def test_a_structure_with_another_residue_has_a_chain_of_its_own():
    other = (*WHOLE[:2], "LYR", *WHOLE[3:])
    sequences, assignments = chain_sequences([peptide(WHOLE), peptide(other), peptide(WHOLE)])
    assert [each.names for each in sequences["A"]] == [WHOLE, other]
    assert [set(each.values()) for each in assignments] == [{0}, {1}, {0}]


def test_two_residues_at_one_place_of_one_structure():
    mixed = peptide(WHOLE)
    twin = models.residue("CYS", 3, [models.atom("CA", "C", [1, 2, 3], altloc="B")])
    mixed[0]["A"].add_residue(twin, 3)
    mixed.setup_entities()
    sequences, (assignment,) = chain_sequences([mixed])
    assert [each.names for each in sequences["A"]] == [WHOLE, (*WHOLE[:2], "CYS", *WHOLE[3:])]
    assert assignment["A", Place(3, ""), "SER"] == 0
    assert assignment["A", Place(3, ""), "CYS"] == 1
    assert assignment["A", Place(4, ""), "LEU"] == 0


def test_insertion_codes_are_places():
    made = peptide(WHOLE)
    made[0]["A"][3].seqid = gemmi.SeqId(3, "A")
    (only,) = chain_sequences([without(made, 5), made])[0]["A"]
    assert only.author_numbers()[4] == (3, "A")
    assert only.names == WHOLE
