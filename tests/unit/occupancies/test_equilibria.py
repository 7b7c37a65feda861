"""Pairs in equilibrium, temperature jumps and static data, against van 't Hoff written out."""

import itertools
import math

import numpy as np
import pytest
import torch

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.kinetics.sensitivity import jacobian
from torchref_kinetic_plugin.occupancies import occupancies_kinetics, occupancies_kinetics_multiexperiment
from torchref_kinetic_plugin.occupancies.second_order import QuadraticTarget, SecondOrderFit

R = 8.31446261815324e-3
TEMPERATURES = (280.0, 295.0, 312.0)
TIMES = [0.1, 1.0, 10.0, math.inf]


def tables(temperatures=TEMPERATURES, time=TIMES, **changes):
    return [{"name": f"{t:g} K", "time": time, "temperature": t, **changes} for t in temperatures]


def model(chart="A<->B", experiments=None, **options):
    options = {"equilibrium": "all", "verbose": 0} | options
    return occupancies_kinetics_multiexperiment(chart, tables() if experiments is None else experiments, **options)


def constant(t, k, enthalpy, reference):
    return k * math.exp(-enthalpy / R * (1.0 / t - 1.0 / reference))


def test_the_stationary_state_follows_vant_hoff():
    m = model(
        equilibrium_constants={"A<->B": 0.4},
        reaction_enthalpies={"A<->B": 35.0},
        reference_temperature=300.0,
        rate_constants={"A->B": 2.0},
        rate_law="eyring",
    )
    for t, occupancies, rates in zip(TEMPERATURES, m.forward_all(), m.get_rate_constants().values(), strict=True):
        k = constant(t, 0.4, 35.0, 300.0)
        assert rates["A->B"] / rates["B->A"] == pytest.approx(k, rel=1e-13)
        assert occupancies[1, -1].item() == pytest.approx(k / (1.0 + k), rel=1e-13)
    (pair,) = m.joint.equilibria.pairs
    assert m.joint.equilibria.reaction_enthalpy(pair).item() == pytest.approx(35.0)
    entropy = m.joint.equilibria.reaction_entropy(pair).item()
    assert entropy == pytest.approx(1e3 * (R * math.log(0.4) + 35.0 / 300.0), rel=1e-13)


def test_equilibrium_parameters_are_read_by_pair(capsys):
    m = model(equilibrium_constants={"A<->B": 0.4}, reaction_enthalpies={"A<->B": 35.0}, reference_temperature=300.0)
    assert m.get_equilibrium_parameters()["A<->B"] == pytest.approx(
        {
            "equilibrium_constant": 0.4,
            "reaction_enthalpy": 35.0,
            "reaction_entropy": 1e3 * (R * math.log(0.4) + 35 / 300),
        }
    )
    m.print_parameters()
    assert "A<->B: equilibrium constant 0.4, reaction enthalpy 35" in capsys.readouterr().out
    assert not m.models[0].shared_remarks
    (remark,) = model(experiments=tables([300.0, 301.0])).models[0].shared_remarks
    assert "the reaction enthalpy of A<->B is refined, but between 300 and 301 K" in remark


def test_three_states_in_a_cycle_follow_two_constants():
    m = model("A<->B,B<->C,C<->A", equilibrium_constants={"A<->B": 2.0, "B<->C": 3.0}, rate_constants={"B->C": 0.2})
    last = m(1)[:, -1].detach()
    torch.testing.assert_close(last, torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64) / 9.0)
    rates = m.get_rate_constants()["295 K"]
    assert rates["C->A"] / rates["A->C"] == pytest.approx(1.0 / 6.0)


def test_a_single_temperature_has_a_constant_and_no_enthalpy():
    for experiments in ([{"time": TIMES}], tables([298.0])):
        m = model(experiments=experiments, equilibrium_constants={"A<->B": 3.0})
        assert m.joint.equilibria.enthalpies == {}
        assert m.joint.equilibria.reaction_entropy(m.joint.equilibria.pairs[0]) is None
        assert m(0)[1, -1].item() == pytest.approx(0.75)
        assert sum(p.requires_grad for p in m.parameters()) == 2


def test_both_rates_given_start_the_constant():
    m = model(rate_constants={"A->B": 6.0, "B->A": 2.0})
    assert m(0)[1, -1].item() == pytest.approx(0.75)
    m = model(rate_constants={"B->A": 2.0}, equilibrium_constants={"A<->B": 3.0})
    assert m.get_rate_constants()["280 K"]["A->B"] == pytest.approx(6.0)
    model(rate_constants={"A->B": 6.0, "B->A": 2.0}, equilibrium_constants={"B<->A": 1.0 / 3.0})
    turned = model(equilibrium=["B<->A"], equilibrium_constants={"A<->B": 3.0}, rate_constants={"B->A": 2.0})
    assert turned.get_rate_constants()["280 K"]["A->B"] == pytest.approx(6.0)


def test_the_forward_step_may_be_tied():
    experiments = tables(ties={"A->B": ("B->C", 3.0)})
    m = model(
        "A<->B,B->C", experiments, rate_law="eyring", rate_constants={"B->C": 2.0}, equilibrium_constants={"A<->B": 4.0}
    )
    for rates in m.get_rate_constants().values():
        assert rates["A->B"] == pytest.approx(3.0 * rates["B->C"])
        assert rates["B->A"] == pytest.approx(rates["A->B"] / 4.0)


def test_a_rate_that_follows_cannot_be_set_or_refined_by_itself():
    m = model()
    single = m.models[0]
    for call in (
        lambda: single.set_rate_constant("B->A", 1.0),
        lambda: single.freeze_rates(["B->A"]),
        lambda: single.unfreeze_rates(["B->A"]),
    ):
        with pytest.raises(InputError, match="B->A follows from that of A->B and the equilibrium constant of A<->B"):
            call()
    single.freeze_rates()
    assert "B->A" in single.kinetics.network.refined_rates()
    single.print_parameters()


def test_efficiencies_that_would_break_detailed_balance_are_refused_later_too():
    m = model("A<->B,B<->C,C->D", [{"time": TIMES}])
    before = m.models[0].get_efficiencies()
    with pytest.raises(InputError, match="breaks detailed balance"):
        m.models[0].set_efficiency("B->C", 0.5)
    with pytest.raises(InputError, match="it lies on a cycle with C->D"):
        m.models[0].set_efficiency("C->D", 0.5)
    assert m.models[0].get_efficiencies() == before
    assert not any("efficiencies" in n for n, p in m.named_parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("chart", "experiments", "options", "message"),
    [
        ("A<->B", tables(rate_constants={"B->A": 1.0}), {}, "B->A has a rate constant of its own in experiment '280 K'"),
        ("A<->B", tables(bounds={"B->A": (0.1, 1.0)}), {}, "B->A has bounds in experiment '280 K'"),
        ("A<->B,B->C", tables(ties={"B->A": "B->C"}), {}, "B->A has a tie"),
        ("A<->B,B->C", tables(ties={"B->C": "B->A"}), {}, "B->C is tied to B->A, whose rate follows from"),
        ("A<->B", tables(refine_rates=["B->A"]), {}, "B->A has its rate refined"),
        ("A<->B", tables(regularization={"rate_prior_weight": {"B->A": 1.0}}), {}, "B->A has a prior"),
        ("A<->B", None, {"shared_rates": ["B->A"]}, "B->A is shared, but its rate follows"),
        ("A<->B", None, {"rate_law": {"B->A": "eyring"}}, "rate_law names B->A, whose rate follows from the equilibrium A<->B"),
        ("A<->B", None, {"rate_constants": {"A->B": 1.0, "B->A": 1.0}, "equilibrium_constants": {"A<->B": 2.0}}, "the rate constant of B->A contradicts that of A->B and the equilibrium constant 2 of A<->B: forward over back is 1"),
        ("A<->B,B<->C,C<->A", None, {"equilibrium_constants": {"A<->B": 2.0, "B<->C": 2.0, "C<->A": 2.0}}, "equilibrium_constants of C<->A contradicts those of the other pairs on its cycle"),
        ("A<->B,B<->C,C->A", None, {"equilibrium": ["A<->B"]}, "it lies on a cycle with B->C, C->A"),
        ("A<->B", tables(efficiencies={"A->B": 0.5}), {}, "A->B has an efficiency"),
        ("A<->B", tables(light_activated=True), {}, "with light_activated"),
        ("A<->B", tables(initial_state="A") + tables([300.0], initial_state="B"), {}, "equilibrium needs the same initial state"),
        ("A<->B", None, {"equilibrium_constants": {"A<->C": 2.0}}, "unknown pair in equilibrium 'A<->C' in equilibrium_constants"),
        ("A<->B", None, {"equilibrium_constants": {"A<->B": -2.0}}, "equilibrium_constants of A<->B = -2: it must be above 0"),
        ("A<->B", None, {"equilibrium": (), "reaction_enthalpies": {"A<->B": 2.0}}, "reaction_enthalpies means nothing without equilibrium"),
        ("A<->B", tables([298.0]), {"reaction_enthalpies": {"A<->B": 2.0}}, "reaction_enthalpies mean nothing at a single temperature"),
        ("A<->B", [*tables(), {"time": [1.0]}], {}, "equilibrium at several temperatures needs the temperature of every experiment; experiment 3 has none"),
        ("A<->B", tables(initial_populations={"A": 1.0}, temperature_before=270.0), {}, "has temperature_before and initial_populations"),
        ("A<->B", [{"time": [1.0], "temperature_before": 270.0}], {}, "experiment 'experiment 0' has temperature_before but no temperature"),
        ("A<->B", tables([298.0], temperature_before=270.0), {"equilibrium": ()}, "needs rates that depend on temperature"),
        ("A->B", tables(temperature_before=270.0, light_activated=True), {"equilibrium": (), "rate_law": "eyring"}, "means nothing with light_activated"),
        ("A<->B,B->C", tables(temperature_before=270.0), {}, "the rate of A->B, B->C is known at its temperature only"),
        ("A<->B", tables(time=[math.inf], refine_rates=["A->B"]), {}, "refine_rates names A->B, but every timepoint of experiment '280 K' is at infinite time"),
        ("A<->B", tables(time=[math.inf]), {"rate_law": "eyring", "refine_enthalpies": ["A->B"]}, "refine_enthalpies names A->B, but every timepoint is at infinite time"),
    ],
)  # fmt: skip
def test_what_contradicts_is_refused(chart, experiments, options, message):
    with pytest.raises(InputError) as caught:
        model(chart, experiments, **options)
    assert message in str(caught.value)


def jump(**changes):
    """Two jumps from 280 K, K(T_ref) and both enthalpies known."""
    options = {
        "rate_law": "eyring",
        "rate_constants": {"A->B": 2.0, "B->C": 0.5},
        "equilibrium_constants": {"A<->B": 0.4, "B<->C": 0.7},
        "reaction_enthalpies": {"A<->B": 60.0, "B<->C": -20.0},
        "reference_temperature": 300.0,
    } | changes
    experiments = tables([300.0, 310.0], [-1.0, 0.1, 1.0, math.inf], temperature_before=280.0)
    return model("A<->B,B<->C", experiments, **options)


def test_a_jump_starts_from_the_equilibrium_before_it():
    m = jump()
    ab, bc = constant(280.0, 0.4, 60.0, 300.0), constant(280.0, 0.7, -20.0, 300.0)
    weights = torch.tensor([1.0, ab, ab * bc], dtype=torch.float64)
    for single in m.models:
        torch.testing.assert_close(single.reference_occupancies(), weights / weights.sum(), atol=1e-14, rtol=1e-13)
        torch.testing.assert_close(single()[:, 0], weights / weights.sum(), atol=1e-14, rtol=1e-13)
        given = dict(zip("ABC", (weights / weights.sum()).tolist(), strict=True))
        alone = occupancies_kinetics(
            "A<->B,B<->C", single.time, single.get_rate_constants(), initial_populations=given, verbose=0
        )
        torch.testing.assert_close(single(), alone(), atol=1e-13, rtol=1e-12)


def test_a_jump_in_a_driven_scheme_starts_from_its_stationary_state():
    experiments = tables([300.0, 310.0], [-1.0, 0.1, math.inf], temperature_before=280.0)
    m = model("A->B,B->C,C->A", experiments, equilibrium=(), rate_law={"A->B": "eyring", "B->C": "arrhenius"},
              shared_rates=["C->A"], rate_constants={"A->B": 1.0, "B->C": 2.0, "C->A": 0.3})  # fmt: skip
    inverse = [1.0 / m.joint.laws[n].rate(280.0).item() for n in ("A->B", "B->C")] + [1.0 / 0.3]
    expected = torch.tensor(inverse, dtype=torch.float64) / sum(inverse)
    torch.testing.assert_close(m.models[1].reference_occupancies(), expected, atol=1e-14, rtol=1e-12)


def test_gradients_reach_the_state_before_the_jump():
    m = jump()
    (gradient,) = torch.autograd.grad(m.models[0].reference_occupancies()[1], m.joint.equilibria.enthalpies["B"].raw)
    assert abs(gradient.item()) > 0.01
    for response in ({}, {"instrument_function": "gaussian", "instrument_width": 0.3}):
        experiments = tables([300.0, 310.0], [-0.2, 0.1, 1.0, math.inf], temperature_before=280.0, **response)
        single = model("A<->B,B<->C", experiments, rate_law="eyring", equilibrium_constants={"A<->B": 0.4}).models[1]
        parameters = [p for p in single.parameters() if p.requires_grad]
        _, forward = jacobian(single)
        rows = [
            torch.stack(
                torch.autograd.grad(e, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
            )
            for e in single().flatten()
        ]
        torch.testing.assert_close(forward.reshape(-1, len(parameters)), torch.stack(rows), atol=1e-12, rtol=1e-9)
        for column, parameter in enumerate(parameters):
            with torch.no_grad():
                parameter.add_(1e-5)
                ahead = single()
                parameter.sub_(2e-5)
                behind = single()
                parameter.add_(1e-5)
            torch.testing.assert_close(forward[..., column], (ahead - behind) / 2e-5, atol=1e-8, rtol=1e-5)


def test_gradcheck_through_the_stationary_state():
    single = jump().models[0]
    names = [n for n, p in single.named_parameters() if p.requires_grad]
    inputs = [dict(single.named_parameters())[n].detach().clone().requires_grad_() for n in names]

    def reference(*values):
        return torch.func.functional_call(
            _Before(single), {f"m.{n}": v for n, v in zip(names, values, strict=True)}, ()
        )

    assert torch.autograd.gradcheck(reference, inputs, check_forward_ad=True)


class _Before(torch.nn.Module):
    def __init__(self, m):
        super().__init__()
        self.m = m

    def forward(self):
        return self.m.reference_occupancies()


def test_one_jump_determines_the_enthalpy_of_reaction():
    """From a series at one temperature: the state before says K at another."""
    experiments = tables([310.0], [-1.0, 0.1, 0.5, 2.0, 20.0], temperature_before=285.0)
    options = {"rate_constants": {"A->B": 1.0}}
    truth = model(
        "A<->B", experiments, equilibrium_constants={"A<->B": 2.0}, reaction_enthalpies={"A<->B": 45.0}, **options
    )
    m = model("A<->B", experiments, **options)
    SecondOrderFit(
        list(m.models), [QuadraticTarget.around(truth(0).detach(), torch.full((2, 5), 100.0, dtype=torch.float64))]
    ).minimize(1, 1)
    (pair,) = m.joint.equilibria.pairs
    assert m.joint.equilibria.reaction_enthalpy(pair).item() == pytest.approx(45.0, rel=1e-4)


def test_occupancies_against_temperature_give_constant_and_enthalpy():
    temperatures = [275.0, 285.0, 295.0, 305.0, 315.0]
    experiments = tables(temperatures, [math.inf])
    m = model("A<->B", experiments, rate_law="eyring")
    assert {n.split(".")[-3] for n, p in m.named_parameters() if p.requires_grad} == {"terms"}
    (remark,) = [r for r in m.models[0].remarks() if "infinite time" in r]
    assert "A->B" in remark
    assert "rates are not refined" in remark
    noise = np.random.default_rng(1).normal(0.0, 0.005, 5)
    targets = []
    for t, error in zip(temperatures, noise, strict=True):
        k = constant(t, 0.6, 50.0, 295.0)
        b = k / (1.0 + k) + error
        targets.append(torch.tensor([[1.0 - b], [b]], dtype=torch.float64))
    weight = torch.full((2, 1), 200.0, dtype=torch.float64)
    fit = SecondOrderFit(list(m.models), [QuadraticTarget.around(each, weight) for each in targets])
    fit.minimize(4, seed=1)
    (pair,) = m.joint.equilibria.pairs
    assert m.joint.equilibria.reaction_enthalpy(pair).item() == pytest.approx(50.0, abs=3.0)
    assert m.joint.equilibria.constant(pair, 295.0).item() == pytest.approx(0.6, abs=0.03)


def test_a_static_experiment_beside_a_series_leaves_its_rates_to_the_series():
    experiments = [*tables([300.0], [0.1, 1.0, 10.0]), *tables([280.0, 320.0], [math.inf])]
    m = model("A<->B", experiments, shared_rates=["A->B"])
    level = m.models[0].kinetics.network.rate_parameters()["A->B"]
    assert not level.frozen
    assert m.models[2].kinetics.network.rate_parameters()["A->B"] is level
    assert 0.1 < level.number < 10.0
    asked = [{**each, "refine_rates": ["A->B"]} for each in experiments]
    assert not model("A<->B", asked, shared_rates=["A->B"]).models[1].kinetics.network.rate_parameters()["A->B"].frozen
    assert len(SecondOrderFit(list(m.models), [])._starts(3, seed=1)) == 3
    alone = model("A<->B", experiments)
    assert alone.models[1].kinetics.network.rate_parameters()["A->B"].frozen


def test_order_of_experiments_does_not_matter():
    def build(order):
        all_ = tables(temperature_before=270.0)
        return model(
            "A<->B,B<->C,C<->A",
            [all_[n] for n in order],
            rate_law="arrhenius",
            reaction_enthalpies={"A<->B": 20.0, "B<->C": -7.0},
            regularization={"law_spread": 0.3},
        )

    plain = build((0, 1, 2))
    for order in itertools.permutations(range(3)):
        turned = build(order)
        for place, number in enumerate(order):
            assert torch.equal(turned(place), plain(number))
        assert torch.equal(turned.get_regularization_loss(), plain.get_regularization_loss())


def test_saving_and_loading(tmp_path):
    m = jump(refine_enthalpies=["A->B"])
    torch.manual_seed(1)
    with torch.no_grad():
        for p in m.parameters():
            p.add_(0.2 * torch.randn_like(p))
    torch.save(m.state_dict_kinetics(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    other = occupancies_kinetics_multiexperiment.load_from_kinetics_state(state, verbose=0)
    for left, right in zip(m.models, other.models, strict=True):
        assert torch.equal(left(), right())
        assert torch.equal(left.reference_occupancies(), right.reference_occupancies())
    assert [n for n, p in m.named_parameters() if p.requires_grad] == [
        n for n, p in other.named_parameters() if p.requires_grad
    ]
    assert other.models[0].condition == m.models[0].condition


def titration(concentrations, **options):
    experiments = [
        {"name": str(c), "time": [0.1, 1.0, 10.0, math.inf], "concentration": c, "time_unit": "s"}
        for c in concentrations
    ]
    return model("P->PL,PL->P,PL->Q", experiments, pseudo_first_order=["P->PL"], **{"equilibrium": ()} | options)


def test_a_pseudo_first_order_rate_is_in_proportion_to_the_concentration():
    m = titration(["1 mM", 5e-3], rate_constants={"P->PL": "2e3 /(M s)", "PL->P": "1 /s"}, shared_rates=["P->PL"])
    rates = m.get_rate_constants()
    assert rates["1 mM"]["P->PL"] == pytest.approx(2.0)
    assert rates["0.005"]["P->PL"] == pytest.approx(10.0)
    m.set_rate_constant("P->PL", 4.0, experiment_idx=0)
    assert m.get_rate_constants()["0.005"]["P->PL"] == pytest.approx(20.0)
    own = titration(["1 mM", "5 mM"])
    assert all(0.1 < each["P->PL"] < 10.0 for each in own.get_rate_constants().values())
    bounded = titration(["1 mM"], rate_constants={"P->PL": 2e3})
    assert bounded.get_rate_constants()["1 mM"]["P->PL"] == pytest.approx(2.0)


def test_binding_in_equilibrium_is_a_titration():
    m = model(
        "P<->PL",
        [{"name": c, "time": [math.inf], "concentration": c} for c in ("1 mM", "2 mM", "8 mM")],
        pseudo_first_order=["P->PL"],
        equilibrium_constants={"P<->PL": 500.0},
    )
    for c, occupancies in zip((1e-3, 2e-3, 8e-3), m.forward_all(), strict=True):
        assert occupancies[1, 0].item() == pytest.approx(500.0 * c / (1.0 + 500.0 * c), rel=1e-13)


@pytest.mark.parametrize(
    ("concentrations", "options", "message"),
    [
        (["1 mM", None], {}, "needs the concentration of every experiment; None has none"),
        (["1 mM"], {"rate_constants": {"P->PL": "2 /s"}}, "rate constant of P->PL = '2 /s': with pseudo_first_order it is per concentration and time"),
        (["1 mM"], {"rate_constants": {"PL->P": "2 /(M s)"}}, "is of second order; name the transition in pseudo_first_order"),
        (["1 mM"], {"pseudo_first_order": "P->PL"}, "pseudo_first_order is a list of transitions; write ['P->PL']"),
        (["1 mM"], {"pseudo_first_order": ["P->X"]}, "unknown transition 'P->X' in pseudo_first_order"),
    ],
)  # fmt: skip
def test_wrong_concentrations_are_refused(concentrations, options, message):
    experiments = [{"name": str(c), "time": [0.1, 1.0], "concentration": c, "time_unit": "s"} for c in concentrations]
    options = {"equilibrium": (), "pseudo_first_order": ["P->PL"]} | options
    with pytest.raises(InputError) as caught:
        model("P<->PL", experiments, **options)
    assert message in str(caught.value)


def pumped(energies, law, **changes):
    experiments = [{"name": str(e), "time": [0.1, 1.0, 3.0], "pump_energy": e, **changes} for e in energies]
    return model("A->B", experiments, equilibrium=(), activation_law=law, rate_constants={"A->B": 1.0})


def test_activation_saturates_with_the_energy_of_the_pump():
    m = pumped(["10 uJ", 3e-5], {"maximum": 0.6, "saturation_energy": "20 uJ", "refine_maximum": True})
    for single, energy in zip(m.models, (1e-5, 3e-5), strict=True):
        expected = 0.6 * (1.0 - math.exp(-energy / 2e-5))
        assert single.kinetics.activation.common.number == pytest.approx(expected, rel=1e-13)
        alone = occupancies_kinetics("A->B", [0.1, 1.0, 3.0], {"A->B": 1.0}, activation=expected, verbose=0)
        torch.testing.assert_close(single(), alone())
    maxima = [single.kinetics.activation.common.maximum for single in m.models]
    assert maxima[0] is maxima[1]
    group = next(g for g in m.get_parameter_groups() if g["name"] == "activation")
    assert sum(p.requires_grad for p in group["params"]) == 2
    _, slopes = jacobian(m.models[0])
    assert slopes.shape[-1] == 3
    assert bool((slopes.abs().amax((0, 1)) > 1e-3).all())


def test_timepoints_may_still_deviate_from_the_saturated_activation(tmp_path):
    m = pumped([1e-5, 3e-5], {"maximum": 0.6}, activation_spread=0.3)
    deviations = m.models[0].kinetics.activation.deviations
    with torch.no_grad():
        deviations.copy_(torch.tensor([0.0, 1.0, -2.0]))
    common = m.models[0].kinetics.activation.common.number
    found = m.models[0].kinetics.activation(at_timepoints=True)
    torch.testing.assert_close(torch.logit(found), math.log(common / (1 - common)) + 0.3 * deviations)
    assert m.get_regularization_loss().item() == pytest.approx(2.5)
    torch.save(m.state_dict_kinetics(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    other = occupancies_kinetics_multiexperiment.load_from_kinetics_state(state, verbose=0)
    for left, right in zip(m.forward_all(), other.forward_all(), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize(
    ("energies", "law", "changes", "message"),
    [
        ([1e-5, 1e-5], {}, {}, "two experiments are named"),
        ([1e-5], {}, {}, "activation_law needs two pump energies or more; all experiments have 1e-05 J"),
        ([1e-5, None], {}, {}, "activation_law needs the pump_energy of every experiment; None has none"),
        ([1e-5, 2e-5], {"maximun": 1.0}, {}, "unknown key 'maximun' in activation_law (did you mean 'maximum'?)"),
        ([1e-5, 2e-5], {"maximum": 1.5}, {}, "maximum of activation_law = 1.5: it must lie in [0, 1]"),
        ([1e-5, 2e-5], {"refine_maximum": True}, {}, "cannot be refined: at the end of its range"),
        ([1e-5, 2e-5], {}, {"activation": 0.5}, "has activation or refine_activation beside activation_law"),
        ([1e-5, 2e-5], {"maximum": 0.5, "refine_maximum": True}, {"light_activated": True, "refine_efficiencies": ["A->B"]}, "activation and the efficiency of A->B, the only step of the trigger"),
    ],
)  # fmt: skip
def test_wrong_pumps_are_refused(energies, law, changes, message):
    with pytest.raises(InputError) as caught:
        pumped(energies, law, **changes)
    assert message in str(caught.value)


def test_maximum_and_yield_of_the_only_trigger_are_one_number():
    experiments = [
        {"name": str(e), "time": [0.1, 1.0], "pump_energy": e, "light_activated": True, "refine_efficiencies": ["A->B"]}
        for e in (1e-5, 2e-5)
    ]
    law = {"maximum": 0.5, "refine_maximum": True}
    with pytest.raises(InputError, match="activation and the efficiency of A->B, the only step of the trigger"):
        model("A->B,B->C", experiments, equilibrium=(), activation_law=law)
    model("A->B,B->C", experiments, equilibrium=(), activation_law={"maximum": 0.5})
