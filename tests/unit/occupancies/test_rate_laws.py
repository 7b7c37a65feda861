"""Laws of temperature over several experiments: one set of parameters, whatever the order and the optimizer."""

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
CHART = "A->B,B->C"
TIMES = np.geomspace(0.02, 50.0, 9).tolist()


def tables(temperatures=TEMPERATURES, **changes):
    return [{"name": f"{t:g} K", "time": TIMES, "temperature": t, **changes} for t in temperatures]


def model(experiments=None, chart=CHART, **options):
    options = {"rate_law": "eyring", "verbose": 0, "rate_constants": {"A->B": 2.0, "B->C": 0.3}} | options
    return occupancies_kinetics_multiexperiment(chart, tables() if experiments is None else experiments, **options)


def test_each_experiment_has_the_rates_of_the_law_at_its_temperature():
    m = model(activation_enthalpies={"A->B": 60.0}, reference_temperature=290.0)
    for name, rates in m.get_rate_constants().items():
        t = float(name.split()[0])
        for transition, start, enthalpy in (("A->B", 2.0, 60.0), ("B->C", 0.3, 50.0)):
            expected = start * t / 290.0 * math.exp(-enthalpy / R * (1.0 / t - 1.0 / 290.0))
            assert rates[transition] == pytest.approx(expected, rel=1e-13)
    single = occupancies_kinetics(CHART, TIMES, m.get_rate_constants()["312 K"], verbose=0)
    torch.testing.assert_close(m(2), single())


def test_the_reference_is_where_rate_and_enthalpy_are_uncorrelated():
    assert model().joint.reference == pytest.approx(3.0 / sum(1.0 / t for t in TEMPERATURES))


def test_one_law_may_be_for_one_transition_only():
    m = model(rate_law={"B->C": "arrhenius"}, rate_constants={"B->C": 0.3})
    first, second, _ = m.models
    assert first.kinetics.network.rate_parameters()["B->C"] is second.kinetics.network.rate_parameters()["B->C"]
    assert first.kinetics.network.rate_parameters()["A->B"] is not second.kinetics.network.rate_parameters()["A->B"]
    rates = [r["B->C"] for r in m.get_rate_constants().values()]
    assert math.log(rates[2] / rates[0]) == pytest.approx(50.0 / R * (1 / 280.0 - 1 / 312.0))


def test_constant_is_shared_and_needs_no_temperature():
    m = model([{"time": TIMES}, {"time": TIMES}], rate_law="constant")
    assert len(list(m.parameters())) == len({id(p) for p in m.parameters()})
    assert sum(p.requires_grad for p in m.parameters()) == 2
    torch.testing.assert_close(m(0), m(1))


def test_a_tied_transition_follows_its_master():
    m = model(tables(ties={"B->C": ("A->B", 0.5)}), rate_constants={"A->B": 2.0})
    for rates in m.get_rate_constants().values():
        assert rates["B->C"] == pytest.approx(0.5 * rates["A->B"])


def refined(m):
    return {id(p): p for p in m.parameters() if p.requires_grad}


@pytest.mark.parametrize(
    "optimizer",
    [
        torch.optim.SGD,
        torch.optim.Adam,
        lambda groups: torch.optim.LBFGS([p for g in groups for p in g["params"]], lr=0.1),
    ],
    ids=["SGD", "Adam", "LBFGS"],
)
def test_the_laws_parameters_are_the_same_objects_everywhere_and_move_together(optimizer):
    m = model()
    assert len(refined(m)) == 4
    for transition, law in m.joint.laws.items():
        for single in m.models:
            rate = single.kinetics.network.all_rates()[transition]
            assert rate.level.raw is law.level.raw
            assert rate.term_parameters[0].raw is law.energy.raw
    groups = m.get_parameter_groups(0.05)
    listed = [p for group in groups for p in group["params"]]
    assert len(listed) == len({id(p) for p in listed})
    assert {id(p) for p in listed} >= set(refined(m))
    before = {name: (law.level.number, law.energy.number) for name, law in m.joint.laws.items()}
    steps = optimizer(groups)

    def closure():
        steps.zero_grad()
        loss = sum((o[1] ** 2).sum() for o in m.forward_all())
        loss.backward()
        return loss

    for _ in range(3):
        steps.step(closure)
    for name, law in m.joint.laws.items():
        assert law.level.number != before[name][0]
        assert law.energy.number != before[name][1]
        for single, t in zip(m.models, TEMPERATURES, strict=True):
            assert single.get_rate_constants()[name] == pytest.approx(law.rate(t).item(), rel=1e-13)


def test_the_gradient_of_a_law_is_the_sum_over_the_experiments():
    m = model()
    energy = m.joint.laws["B->C"].energy.raw
    parts = [torch.autograd.grad(o[1].sum(), energy)[0] for o in m.forward_all()]
    sum(o[1].sum() for o in m.forward_all()).backward()
    torch.testing.assert_close(energy.grad, sum(parts))


def test_both_modes_of_differentiation_agree_with_differences():
    m = model(regularization={"law_spread": 0.3})
    single = m.models[2]
    value, slopes = jacobian(single)
    parameters = [p for p in single.parameters() if p.requires_grad]
    rows = [
        torch.stack(
            torch.autograd.grad(entry, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
        )
        for entry in single().flatten()
    ]
    torch.testing.assert_close(slopes.reshape(-1, len(parameters)), torch.stack(rows), atol=1e-13, rtol=1e-10)
    for column, parameter in enumerate(parameters):
        with torch.no_grad():
            parameter.add_(1e-6)
            ahead = single()
            parameter.sub_(2e-6)
            behind = single()
            parameter.add_(1e-6)
        torch.testing.assert_close(slopes[..., column], (ahead - behind) / 2e-6, atol=1e-8, rtol=1e-6)
    assert value.shape == (3, 9)


def fitted(order, spread=None):
    """Parameter values after a fit to noisy data of two-fold wrong rates, the experiments in an order."""
    truth = model(rate_constants={"A->B": 4.0, "B->C": 0.2}, activation_enthalpies={"A->B": 70.0, "B->C": 40.0})
    noise = [torch.from_numpy(np.random.default_rng(n).normal(0.0, 0.01, (3, 9))) for n in range(3)]
    targets = [(o.detach() + e) for o, e in zip(truth.forward_all(), noise, strict=True)]
    m = model([tables()[n] for n in order], regularization={} if spread is None else {"law_spread": spread})
    quadratic = [QuadraticTarget.around(targets[n], torch.full((3, 9), 100.0, dtype=torch.float64)) for n in order]
    fit = SecondOrderFit(list(m.models), quadratic)
    fit.minimize(3, seed=1)
    return m, {name: (law.level.number, law.energy.number) for name, law in m.joint.laws.items()}


def test_a_fit_finds_rates_and_enthalpies():
    _, found = fitted((0, 1, 2))
    assert found["A->B"] == (pytest.approx(4.0, rel=0.03), pytest.approx(70.0, abs=2.0))
    assert found["B->C"] == (pytest.approx(0.2, rel=0.03), pytest.approx(40.0, abs=2.0))


@pytest.mark.parametrize("spread", [None, 0.1])
def test_results_do_not_depend_on_the_order_of_experiments(spread):
    options = {
        "regularization": {"enthalpy_prior_mean": 45.0, "enthalpy_prior_std": 10.0, "law_spread": 0.2},
        "rate_constants": None,
    }
    plain = model(tables(), **options)
    for order in itertools.permutations(range(3)):
        turned = model([tables()[n] for n in order], **options)
        for place, number in enumerate(order):
            assert torch.equal(turned(place), plain(number))
        assert torch.equal(turned.get_regularization_loss(), plain.get_regularization_loss())
        assert turned.joint.reference == plain.joint.reference
    _, first = fitted((0, 1, 2), spread)
    _, second = fitted((2, 0, 1), spread)
    for name, values in first.items():
        assert second[name] == pytest.approx(values, rel=1e-6)


def test_deviations_are_each_experiments_own_and_restrained():
    m = model(regularization={"law_spread": {"A->B": 0.2}})
    assert len(refined(m)) == 4 + 3
    deviations = [single.kinetics.network.all_rates()["A->B"].term_parameters[1] for single in m.models]
    assert len({id(d.raw) for d in deviations}) == 3
    before = m.get_rate_constants()
    deviations[1].set(0.3)
    after = m.get_rate_constants()
    assert after["280 K"] == before["280 K"]
    assert after["295 K"]["A->B"] == pytest.approx(math.exp(0.3) * before["295 K"]["A->B"])
    assert m.get_regularization_loss().item() == pytest.approx(0.3**2 / (2 * 0.2**2))


def test_a_prior_on_an_enthalpy_counts_once():
    m = model(regularization={"enthalpy_prior_mean": 40.0, "enthalpy_prior_std": {"A->B": 5.0, "B->C": 20.0}})
    assert m.get_regularization_loss().item() == pytest.approx(10.0**2 / (2 * 5.0**2) + 10.0**2 / (2 * 20.0**2))


def test_setting_a_rate_moves_the_line():
    m = model()
    m.set_rate_constant("A->B", 5.0)
    assert m.joint.laws["A->B"].level.number == pytest.approx(5.0)
    m.set_rate_constant("A->B", 5.0, experiment_idx=0)
    assert m.get_rate_constants()["280 K"]["A->B"] == pytest.approx(5.0)
    assert m.joint.laws["A->B"].level.number > 5.0


def test_starts_left_out_follow_the_delays():
    m = model(rate_constants=None)
    assert all(1.0 / 50.0 < law.level.number < 1.0 / 0.02 for law in m.joint.laws.values())


def test_drawn_starts_act_on_the_shared_rate_once():
    m = model()
    fit = SecondOrderFit(list(m.models), [])
    starts = fit._starts(4, seed=3)
    assert fit.size == 4
    energies = [name for name in fit.parameters if "terms" in name]
    assert len(energies) == 2
    for number, name in enumerate(fit.parameters):
        values = {start[number] for start in starts}
        assert len(values) == (1 if name in energies else 4)


def test_saving_and_loading(tmp_path):
    options = {
        "rate_law": {"A->B": "eyring", "B->C": "arrhenius"},
        "regularization": {"law_spread": 0.2, "enthalpy_prior_mean": 45.0, "enthalpy_prior_std": {"A->B": 10.0}},
        "refine_enthalpies": ["A->B"],
        "reference_temperature": 290.0,
    }
    options["regularization"]["enthalpy_prior_mean"] = {"A->B": 45.0}
    m = model(**options)
    torch.manual_seed(1)
    with torch.no_grad():
        for p in m.parameters():
            p.add_(0.3 * torch.randn_like(p))
    torch.save(m.state_dict_kinetics(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    other = occupancies_kinetics_multiexperiment.load_from_kinetics_state(state, verbose=0)
    for left, right in zip(m.forward_all(), other.forward_all(), strict=True):
        assert torch.equal(left, right)
    assert torch.equal(m.get_regularization_loss(), other.get_regularization_loss())
    assert other.get_rate_constants() == m.get_rate_constants()
    assert [n for n, p in m.named_parameters() if p.requires_grad] == [
        n for n, p in other.named_parameters() if p.requires_grad
    ]
    rates = [single.kinetics.network.all_rates()["A->B"] for single in other.models]
    assert rates[0].level is rates[2].level


@pytest.mark.parametrize(
    ("experiments", "options", "message"),
    [
        (None, {"rate_law": "eyrin"}, "unknown law 'eyrin' in rate_law (did you mean 'eyring'?)"),
        (None, {"rate_law": {"A->B": "linear"}}, "unknown law 'linear' in rate_law"),
        (None, {"rate_law": {"A->X": "eyring"}}, "unknown transition 'A->X' in rate_law"),
        (None, {"shared_rates": ["A->B"]}, "A->B: shared says one rate constant at all temperatures, and rate_law"),
        (None, {"shared_rates": ["A->B"], "rate_law": {"A->B": "eyring"}}, "A->B is shared, one rate constant at all"),
        (tables(ties={"B->C": "A->B"}), {"rate_law": {"B->C": "eyring"}, "rate_constants": {}}, "B->C is tied to another"),
        (tables([298.0, 298.0])[:1], {}, "rate_law needs two temperatures or more to show an enthalpy; all experiments are at 298 K"),
        ([*tables(), {"name": "x", "time": [1.0]}], {}, "rate_law needs the temperature of every experiment; x has none"),
        ([*tables(), {"name": "x", "time": [1.0], "temperature": 0.0}], {}, "temperature of experiment 'x' = 0 K: it must be finite and above 0"),
        ([*tables(), {"name": "x", "time": [1.0], "temperature": -5}], {}, "temperature of experiment 'x' = -5 K"),
        (None, {"reference_temperature": 250.0}, "reference_temperature = 250 K is outside the temperatures of the experiments, 280 to 312 K"),
        (None, {"rate_law": None, "reference_temperature": 290.0}, "reference_temperature means nothing without"),
        (None, {"rate_law": None, "activation_enthalpies": {"A->B": 3.0}}, "activation_enthalpies means nothing without rate_law"),
        (None, {"rate_law": {"A->B": "eyring"}, "refine_enthalpies": ["B->C"]}, "unknown transition with an enthalpy 'B->C' in refine_enthalpies"),
        (None, {"activation_enthalpies": {"A->B": math.inf}}, "activation enthalpy of A->B = inf: it must be finite"),
        (None, {"rate_law": None, "regularization": {"law_spread": 0.1}}, "regularization law_spread means nothing without rate_law"),
        (None, {"regularization": {"law_spred": 0.1}}, "unknown key 'law_spred' in regularization of laws"),
        (None, {"regularization": {"law_spread": 0.0}}, "regularization law_spread = 0 for A->B: it must be above 0"),
        (None, {"regularization": {"enthalpy_prior_std": 3.0}}, "needs enthalpy_prior_mean and enthalpy_prior_std"),
        (tables(rate_constants={"A->B": 3.0}), {}, "rate constant of A->B in experiment '280 K': it follows rate_law"),
        (None, {"rate_constants": {"A->B": math.inf}, "rate_law": {"A->B": "eyring"}}, "rate_law names A->B, whose rate is inf"),
        (None, {"rate_constants": {"A->X": 1.0}}, "unknown transition 'A->X' in rate_constants"),
        ([{**t, "temperatur": 3.0} for t in tables()], {}, "unknown key 'temperatur'"),
        ([{**t, "concentration": 1.0} for t in tables()], {}, "concentration means nothing without pseudo_first_order"),
        ([{**t, "pump_energy": 1.0} for t in tables()], {}, "pump_energy means nothing without activation_law"),
        ([{**t, "concentration": "5 mm"} for t in tables()], {}, "concentration of experiment '280 K': unknown unit of concentration 'mm'"),
        ([{**t, "time_unit": u} for t, u in zip(tables(), ["s", "s", "ms"], strict=True)], {}, "different time_unit"),
    ],
)  # fmt: skip
def test_what_contradicts_is_refused(experiments, options, message):
    with pytest.raises(InputError) as caught:
        model(experiments, **options)
    assert message in str(caught.value)


def test_enthalpies_are_frozen_and_read_by_transition(capsys):
    m = model([{**t, "time_unit": "ms"} for t in tables()], rate_law={"A->B": "eyring", "B->C": "constant"})
    energy = m.joint.laws["A->B"].energy
    m.freeze_enthalpies()
    assert energy.frozen
    m.unfreeze_enthalpies(["A->B"])
    assert not energy.frozen
    with pytest.raises(InputError, match="unknown transition with an enthalpy 'B->C' in freeze_enthalpies"):
        m.freeze_enthalpies(["B->C"])
    found = m.get_activation_parameters()
    assert found["A->B"]["activation_enthalpy"] == pytest.approx(50.0)
    t = m.joint.reference
    entropy = R * math.log(2e3 * 6.62607015e-34 / (1.380649e-23 * t)) + 50.0 / t
    assert found["A->B"]["activation_entropy"] == pytest.approx(1e3 * entropy)
    assert found["B->C"] == {}
    assert set(model().get_activation_parameters()["A->B"]) == {"activation_energy", "activation_enthalpy"}
    m.print_parameters()
    assert "activation enthalpy 50" in capsys.readouterr().out


def test_rates_show_at_finite_delays_only():
    static = [{**each, "time": [math.inf]} for each in tables()[1:]]
    m = model([tables()[0], *static])
    assert "between 280 and 280 K 50 kJ/mol change ln k by 0 only" in m.models[0].shared_remarks[0]


def test_unusual_temperatures_and_narrow_ranges_are_remarked():
    m = model(tables([100.0, 290.0, 410.0]))
    assert "100 K is below the 150 to 400 K" in " ".join(m.models[0].remarks())
    assert not [r for r in m.models[1].remarks() if " K is " in r]
    assert "410 K is above" in " ".join(m.models[2].remarks())
    narrow = model(tables([298.0, 299.0]))
    (remark, _) = narrow.models[0].shared_remarks
    assert (
        "the activation enthalpy of A->B is refined, but between 298 and 299 K 50 kJ/mol change ln k by 0.067" in remark
    )
    assert not model().models[0].shared_remarks
    assert not model(tables([298.0, 299.0]), refine_enthalpies=[]).models[0].shared_remarks
