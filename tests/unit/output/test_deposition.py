"""The deposition file, read back with python-ihm and with gemmi."""

from __future__ import annotations

import math
from dataclasses import replace

import gemmi
import numpy as np
import pytest

from tests.unit.output import depositions
from tests.unit.structures import models
from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.output.deposition import (
    DepositedCrystal,
    DepositedExperiment,
    DepositedScheme,
    Deposition,
    read_details,
    write_deposition,
)
from torchref_kinetic_plugin.results import Estimate
from torchref_kinetic_plugin.scheme import Scheme


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    directory = tmp_path_factory.mktemp("campaign")
    deposition = depositions.campaign(directory)
    return deposition, *depositions.written(directory, deposition)


def model_of(state):
    """The one model of a state."""
    ((model,),) = state
    return model


def states_of(system):
    return [state for states in system.state_groups for state in states]


def models_by_name(system):
    return {model_of(state).name: model_of(state) for state in states_of(system)}


def test_structures_come_back_atom_by_atom(campaign):
    deposition, system, _ = campaign
    found = models_by_name(system)
    assert list(found) == ["dark", "I1", "I2"]
    for structure in deposition.crystals[0].structures:
        model = found[structure.name]
        atoms, table = list(model.get_atoms()), structure.atoms
        assert len(atoms) == len(table)
        np.testing.assert_allclose([[a.x, a.y, a.z] for a in atoms], table.xyz, atol=1e-3)
        np.testing.assert_allclose([a.biso for a in atoms], table.b_iso, atol=1e-2)
        np.testing.assert_allclose([a.occupancy for a in atoms], table.occupancy, atol=1e-6)
        assert [a.alt_id or "" for a in atoms] == table.altloc.tolist()
        assert [a.atom_id for a in atoms] == table.atom_name.tolist()
        numbers = [a.asym_unit._get_auth_seq_id_ins_code(a.seq_id or 1) for a in atoms]
        assert [number for number, _ in numbers] == table.residue_number.tolist()
        assert [(code or "").strip() for _, code in numbers] == table.insertion_code.tolist()
        assert [a.asym_unit.sequence[(a.seq_id or 1) - 1].id for a in atoms] == table.residue_name.tolist()
        assert [a.asym_unit.strand_id for a in atoms] == table.chain.tolist()


def test_gemmi_reads_the_same_with_cell_tensors_and_charges(campaign):
    deposition, _, block = campaign
    read = gemmi.make_structure_from_block(block)
    assert read.cell.parameters == models.CELL
    assert read.spacegroup_hm == "P 21 21 21"
    assert len(read) == 3
    for model, structure in zip(read, deposition.crystals[0].structures, strict=True):
        found = {
            (s.chain.name, str(s.residue.seqid), s.residue.name, s.atom.name, s.atom.altloc): s for s in model.all()
        }
        own = structure.to_gemmi()
        assert len(found) == own[0].count_atom_sites()
        for site in own[0].all():
            key = (site.chain.name, str(site.residue.seqid), site.residue.name, site.atom.name, site.atom.altloc)
            there = found[key].atom
            assert there.pos.dist(site.atom.pos) < 1e-3
            assert there.charge == site.atom.charge
            np.testing.assert_allclose(there.aniso.elements_pdb(), site.atom.aniso.elements_pdb(), atol=1e-6)
    assert sum(site.atom.charge == 2 for model in read for site in model.all()) == 2


def test_each_atom_is_written_once_although_many_states_have_its_model(campaign):
    deposition, system, block = campaign
    assert len(block.find_values("_atom_site.id")) == sum(len(s.atoms) for s in deposition.crystals[0].structures)
    links = list(block.find_values("_ihm_multi_state_model_group_link.model_group_id"))
    # The key of this table in the dictionary: a group has one state.
    assert len(set(links)) == len(links) == 2 * 4 + 4 * 3
    assert len({id(model_of(state)) for state in states_of(system)}) == 3
    assert len(block.find_values("_ihm_model_list.model_id")) == 3


def test_a_residue_that_changes_gets_a_sequence_of_its_own(campaign):
    _, system, _ = campaign
    chains = [asym for asym in system.asym_units if asym.entity.is_polymeric()]
    assert [[residue.id for residue in asym.sequence] for asym in chains] == [
        ["ALA", "ALA", "ALA", "ALA"],
        ["ALA", "ALA", "SER", "ALA"],
    ]
    assert [asym.strand_id for asym in chains] == ["A", "A"]
    models_of = models_by_name(system)
    for name, chain in (("dark", 0), ("I1", 0), ("I2", 1)):
        used = {id(atom.asym_unit) for atom in models_of[name].get_atoms()}
        assert [id(asym) in used for asym in chains] == [chain == 0, chain == 1]
        assert {id(asym) for asym in models_of[name].assembly} == used
    assert {entity.type for entity in system.entities} == {"polymer", "non-polymer", "water"}
    assert {entity.description for entity in system.entities} >= {"ZN", "XYZ", "water"}


def test_each_temperature_has_its_own_scheme(campaign):
    _, system, _ = campaign
    assert [scheme.name for scheme in system.multi_state_schemes] == [
        "A->B,B->C,C->A (280K)",
        "A->B,B->C,C->A (300K)",
    ]
    for scheme, (name, rates) in zip(system.multi_state_schemes, depositions.RATES.items(), strict=True):
        found = scheme.get_connectivities()
        assert [(each.begin_state.name, each.end_state.name) for each in found] == [("A", "B"), ("B", "C"), ("C", "A*")]
        assert {state.name: model_of(state).name for state in scheme.get_states()} == {
            "A": "dark",
            "B": "I1",
            "C": "I2",
            "A*": "dark",
        }
        assert all(read_details(state.details)["experiment"] == name for state in scheme.get_states())
        impulse, *finite = found
        assert impulse.kinetic_rate is None
        assert read_details(impulse.details)["rate"] == "inf"
        assert read_details(impulse.details)["remainder"] == "A*"
        assert float(read_details(impulse.details)["efficiency"]) == 0.3
        assert float(read_details(impulse.details)["efficiency_std_error"]) == 0.01
        for each, (transition, value) in zip(finite, rates.items(), strict=True):
            details = read_details(each.kinetic_rate.details)
            assert details["transition"] == read_details(each.details)["transition"] == transition
            assert depositions.same_number(each.kinetic_rate.transition_rate_constant, value)
            assert depositions.same_number(details["std_error_ln"], 0.05)
            assert depositions.same_number(details["lower"], value / 1.1)
            assert depositions.same_number(details["upper"], value * 1.1)
            assert each.relaxation_time.unit == "seconds"
            assert depositions.same_number(each.relaxation_time.value, 1.0 / value)
            assert each.dataset_group.name == each.kinetic_rate.dataset_group.name == name
        details = read_details(scheme.details)
        assert details["temperature_K"] == name[:-1]
        assert details["light_activated"] == "yes"
        assert details["activation_enthalpy[B->C]"] == "62.5 kJ/mol (standard error 2)"


def test_occupancies_of_every_timepoint_come_back(campaign):
    _, system, block = campaign
    found = {}
    for states in system.state_groups:
        for state in states:
            if state.population_fraction is not None:
                details = read_details(state.details)
                assert (state.experiment_type, state.type) == ("Fraction of bulk", "conformational change")
                assert model_of(state).name == state.name
                assert float(details["delay_s"]) == depositions.DELAYS[details["timepoint"]]
                found.setdefault((details["experiment"], details["timepoint"]), []).append(state.population_fraction)
    assert set(found) == set(depositions.OCCUPANCIES)
    for key, values in depositions.OCCUPANCIES.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-9)
    dark = next(state for states in system.state_groups for state in states if state.name == "dark")
    assert read_details(dark.details)["populations"] == "A 0.1, A* 0.6000001"
    errors = block.find("_ihm_multi_state_modeling.", ["population_fraction", "population_fraction_sd"])
    assert [row[1] for row in errors if row[0] != "."] == ["0.01"] * 12
    assert [row[1] for row in errors if row[0] == "."] == ["."] * 8


def test_datasets_and_conditions(campaign):
    _, system, block = campaign
    groups = {group.name: group for group in system.orphan_dataset_groups if group.name}
    for name in depositions.RATES:
        assert read_details(groups[name].details) == {"experiment": name, "temperature_K": name[:-1]}
        assert len(groups[name]) == 3
        reference, first, _ = (read_details(each.details) for each in groups[name])
        assert reference["role"] == "reference"
        assert "delay_s" not in reference
        assert (first["role"], first["dataset"], first["delay_s"]) == ("timepoint", "10_ns", "1e-08")
        assert (first["reflections"], first["d_min_A"]) == ("1234", "1.7")
        # Of the last cycle.
        assert (first["r_work"], first["r_free"]) == ("0.2", "0.25")
    assert {each.data_type for each in groups["280K"]} == {"X-ray diffraction data"}
    # One file of two experiments is one file, and two datasets.
    paths = [gemmi.cif.as_string(text) for text in block.find_values("_ihm_external_files.file_path")]
    assert paths == ["dark.mtz", "10_ns.mtz", "5_us.mtz"]
    assert len(block.find_values("_ihm_dataset_list.id")) == 6
    assert [list(row) for row in block.find("_diffrn.", ["crystal_id", "ambient_temp"])] == [["1", "280"], ["1", "300"]]
    assert [each.name for each in system.software] == ["torchref-kinetic-plugin", "TorchRef", "gemmi"]
    assert [each.version for each in system.software] == ["0.1.0", "0.7.0", "0.7.5"]


def test_the_directory_of_the_run_does_not_show(tmp_path, monkeypatch):
    deposition = depositions.campaign(tmp_path)
    output = tmp_path / "refined"
    output.mkdir()
    write_deposition(output / "deposition.cif", deposition)
    first = (output / "deposition.cif").read_bytes()
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere" / "deep")
    write_deposition("../../refined/deposition.cif", deposition)
    assert (output / "deposition.cif").read_bytes() == first
    block = gemmi.cif.read(str(output / "deposition.cif")).sole_block()
    assert next(iter(block.find_values("_ihm_external_files.file_path"))) == "../dark.mtz"


@pytest.mark.parametrize("title", ["It's 5\" long", "µs and Å", "#1; first", "back\\slash", "two\nlines", "?"])
def test_any_title_comes_back(tmp_path, title):
    system, block = depositions.written(tmp_path, depositions.campaign(tmp_path, title=title))
    assert system.title.strip() == " ".join(title.split())
    assert gemmi.cif.as_string(block.find_value("_struct.title")).strip() == " ".join(title.split())


def test_without_a_scheme_there_are_structures_datasets_and_occupancies(tmp_path):
    deposition = depositions.campaign(tmp_path, provider="unrestrained")
    result = replace(deposition.result, parameters=(), occupancies=tuple(depositions.occupancy_rows(["280K"], None)))
    experiment = DepositedExperiment("280K", 0, deposition.experiments[0].datasets)
    system, block = depositions.written(tmp_path, Deposition(result, deposition.crystals, (experiment,)))
    assert system.multi_state_schemes == []
    assert [[state.name for state in states] for states in system.state_groups] == [["dark", "I1", "I2"]] * 2
    found = [[state.population_fraction for state in states] for states in system.state_groups]
    np.testing.assert_allclose(found, [v for (e, _), v in depositions.OCCUPANCIES.items() if e == "280K"], rtol=1e-9)
    assert set(block.find_values("_ihm_multi_state_modeling.population_fraction_sd")) == {"."}
    assert "populations" not in system.state_groups[0][0].details
    assert block.find_values("_diffrn.ambient_temp")[0] == "?"


def test_a_cycle_has_no_relaxation_time_of_one_transition(tmp_path):
    scheme = Scheme.build("A<->B,B->C")
    mapped = DepositedScheme(scheme, {"A": "dark", "B": "I1", "C": "I2"}, ((0.7, 0.2, 0.1), (0.1, 0.2, 0.7)))
    rates = {"A->B": 2e3, "B->A": 1e3, "B->C": 50.0}
    parameters = [depositions.rate("280K", name, value) for name, value in rates.items()]
    parameters += [depositions.efficiency("280K", name, 1.0) for name in rates]
    parameters.append(Estimate("280K", "equilibrium_constant", "A<->B", 2.0, "", 0.1, 1.6, 2.4, 1.0, 0.2))
    system, _ = depositions.written(tmp_path, depositions.one_scheme(tmp_path, mapped, parameters))
    (found,) = system.multi_state_schemes
    assert found.get_relaxation_times() == []
    assert [each.relaxation_time for each in found.get_connectivities()] == [None] * 3
    assert [float(each.kinetic_rate.transition_rate_constant) for each in found.get_connectivities()] == list(
        rates.values()
    )
    assert "equilibrium_constant=2 (standard error 0.2)" in found.get_connectivities()[0].kinetic_rate.details
    assert "equilibrium_constant" not in found.get_connectivities()[1].kinetic_rate.details


def test_what_fails_and_returns_to_a_state_that_reacts_again_makes_a_cycle(tmp_path):
    scheme = Scheme.build("A->B,B->C")
    mapped = DepositedScheme(scheme, {"A": "dark", "B": "I1", "C": "I2"}, ((0.7, 0.2, 0.1), (0.1, 0.2, 0.7)))
    for share, alone in ((1.0, [True, True]), (0.6, [False, False])):
        parameters = [depositions.rate("280K", "A->B", 2e3), depositions.rate("280K", "B->C", 50.0)]
        parameters += [depositions.efficiency("280K", "A->B", 1.0), depositions.efficiency("280K", "B->C", share)]
        system, _ = depositions.written(tmp_path, depositions.one_scheme(tmp_path, mapped, parameters))
        found = system.multi_state_schemes[0].get_connectivities()
        assert [each.relaxation_time is not None for each in found] == alone
        assert ("remainder=A" in found[1].details) is (share < 1.0)


def test_the_time_of_a_state_with_two_exits_belongs_to_the_scheme(tmp_path):
    scheme = Scheme.build("A->B,A->C,D")
    mapped = DepositedScheme(
        scheme, {"A": "dark", "B": "I1", "C": "I2", "D": "I2"}, ((0.7, 0.2, 0.1, 0.0), (0.1, 0.2, 0.6, 0.1))
    )
    parameters = [depositions.rate("280K", "A->B", 3e9), depositions.rate("280K", "A->C", 1e9)]
    parameters += [depositions.efficiency("280K", name, 1.0) for name in ("A->B", "A->C")]
    system, _ = depositions.written(tmp_path, depositions.one_scheme(tmp_path, mapped, parameters))
    (found,) = system.multi_state_schemes
    (time,) = found.get_relaxation_times()
    assert (float(time.value), time.unit) == (2.5e-10, "seconds")
    assert read_details(time.details) == {"state": "A"}
    *reacting, alone = found.get_connectivities()
    assert [each.relaxation_time for each in reacting] == [None, None]
    assert (alone.begin_state.name, alone.end_state, alone.kinetic_rate) == ("D", None, None)


def test_equal_rates_of_two_experiments_are_both_written(tmp_path):
    deposition = depositions.campaign(tmp_path)
    shared = []
    for each in deposition.result.parameters:
        value = {"B->C": 2e6, "C->A": 2e4}.get(each.name)
        shared.append(depositions.rate(each.experiment, each.name, value) if each.kind == "rate_constant" else each)
    system, _ = depositions.written(
        tmp_path, replace(deposition, result=replace(deposition.result, parameters=tuple(shared)))
    )
    for scheme in system.multi_state_schemes:
        _, *finite = scheme.get_connectivities()
        assert [float(each.kinetic_rate.transition_rate_constant) for each in finite] == [2e6, 2e4]
        assert [float(each.relaxation_time.value) for each in finite] == [5e-7, 5e-5]


def test_errors_that_the_data_do_not_determine_are_said_so(tmp_path):
    scheme = Scheme.build("A->B")
    mapped = DepositedScheme(scheme, {"A": "dark", "B": "I1"}, ((0.7, 0.3), (0.1, 0.9)))
    open_rate = Estimate("280K", "rate_constant", "A->B", 2e3, "1/s", math.inf, 0.0, math.inf, 1e3, math.inf)
    parameters = [open_rate, depositions.efficiency("280K", "A->B", 1.0)]
    system, _ = depositions.written(tmp_path, depositions.one_scheme(tmp_path, mapped, parameters))
    (each,) = system.multi_state_schemes[0].get_connectivities()
    assert read_details(each.kinetic_rate.details)["std_error_ln"] == "inf"
    assert float(each.kinetic_rate.transition_rate_constant) == 2e3


def test_several_crystals_keep_their_own_cells(tmp_path):
    deposition = depositions.campaign(tmp_path)
    warm = []
    for each in depositions.structures():
        changed = each.to_gemmi()
        changed.cell = gemmi.UnitCell(30.5, 40, 50, 90, 90, 90)
        warm.append(models.named(changed, each.name))
    cold, hot = deposition.experiments
    crystals = (*deposition.crystals, DepositedCrystal("300K", tuple(warm)))
    changed = replace(deposition, crystals=crystals, experiments=(cold, replace(hot, crystal=1)))
    system, block = depositions.written(tmp_path, changed)
    assert list(models_by_name(system)) == [f"{s} ({c})" for c in ("280K", "300K") for s in ("dark", "I1", "I2")]
    assert len(block.find_values("_atom_site.id")) == 2 * sum(len(each.atoms) for each in warm)
    assert float(block.find_value("_cell.length_a")) == 30.0
    details = {group.name: read_details(group.details) for state in states_of(system) for group in state}
    assert details["I1 (300K)"]["cell"] == "30.5 40 50 90 90 90"
    assert {model_of(state).name[-6:] for state in system.multi_state_schemes[1].get_states()} == {"(300K)"}
    assert list(block.find_values("_diffrn.crystal_id")) == ["1", "2"]


def test_refined_or_as_given_is_said(tmp_path):
    for refined, said in ((("kinetics",), "no"), (("kinetics", "structures"), "yes")):
        _, block = depositions.written(tmp_path, depositions.campaign(tmp_path, refined=refined))
        texts = map(gemmi.cif.as_string, block.find_values("_ihm_model_group.details"))
        assert {read_details(text)["refined"] for text in texts} == {said}


def test_a_directory_that_is_not_there_is_an_error_of_the_user(tmp_path):
    with pytest.raises(FileError, match="nowhere"):
        write_deposition(tmp_path / "nowhere" / "deposition.cif", depositions.campaign(tmp_path))


def test_at_infinite_time_only_ratios_of_rates_are_given(tmp_path):
    scheme = Scheme.build("A<->B")
    mapped = DepositedScheme(scheme, {"A": "dark", "B": "I1"}, ((0.7, 0.3), (0.1, 0.9)))
    parameters = [depositions.rate("280K", name, value) for name, value in (("A->B", 1.0), ("B->A", 0.5))]
    parameters += [depositions.efficiency("280K", name, 1.0) for name in ("A->B", "B->A")]
    parameters.append(Estimate("280K", "equilibrium_constant", "A<->B", 2.0, "", 0.1, 1.6, 2.4, 1.0, 0.2))
    deposition = depositions.one_scheme(tmp_path, mapped, parameters)
    (experiment,) = deposition.experiments
    static = [replace(each, time_s=math.inf) for each in experiment.datasets]
    system, _ = depositions.written(
        tmp_path, replace(deposition, experiments=(replace(experiment, datasets=tuple(static)),))
    )
    forward, back = (each.kinetic_rate for each in system.multi_state_schemes[0].get_connectivities())
    assert (forward.transition_rate_constant, back.transition_rate_constant) == (None, None)
    assert read_details(forward.details)["equilibrium_constant"] == "2 (standard error 0.2)"
    assert [read_details(each.details)["relative_rate_constant"] for each in (forward, back)] == ["1", "0.5"]
