import pytest
import torch

from torchref_kinetic_plugin.occupancies import occupancies_kinetics, occupancies_kinetics_multiexperiment

CHART = "A->B,B->C"


def experiments():
    return [
        {"name": "280 K", "time": [0.1, 1.0, 10.0], "rate_constants": {"A->B": 2.0, "B->C": 0.5}},
        {"name": "300 K", "time": [0.2, 5.0], "rate_constants": {"A->B": 9.0}, "instrument_function": "gaussian",
         "instrument_width": 0.1, "activation": 0.4},
    ]  # fmt: skip


def shared(**options):
    return occupancies_kinetics_multiexperiment(CHART, experiments(), shared_rates=["B->C"], verbose=0, **options)


def test_each_experiment_is_the_single_model():
    m = shared()
    single = occupancies_kinetics(
        CHART, [0.2, 5.0], rate_constants={"A->B": 9.0, "B->C": 0.5}, instrument_function="gaussian",
        instrument_width=0.1, activation=0.4, verbose=0,
    )  # fmt: skip
    assert torch.equal(m(1), single())
    assert [tuple(o.shape) for o in m.forward_all()] == [(3, 3), (3, 2)]
    assert m.get_rate_constants()["300 K"] == pytest.approx({"A->B": 9.0, "B->C": 0.5})


@pytest.mark.parametrize(
    "optimizer",
    [
        torch.optim.SGD,
        torch.optim.Adam,
        lambda groups: torch.optim.LBFGS([p for g in groups for p in g["params"]], lr=0.1),
    ],
    ids=["SGD", "Adam", "LBFGS"],
)
def test_a_shared_rate_is_one_parameter_with_one_gradient_and_one_optimizer_entry(optimizer):
    m = shared()
    first, second = (model.kinetics.network.rate_parameters()["B->C"] for model in m.models)
    assert first.raw is second.raw
    listed = [p for group in m.get_parameter_groups(0.1) for p in group["params"]]
    assert sum(p is first.raw for p in listed) == 1
    assert len(listed) == len({id(p) for p in listed}) == len(list(m.parameters()))
    parts = [torch.autograd.grad(o[1].sum(), first.raw)[0] for o in m.forward_all()]
    sum(o[1].sum() for o in m.forward_all()).backward()
    torch.testing.assert_close(first.raw.grad, parts[0] + parts[1])
    steps = optimizer(m.get_parameter_groups(0.1))

    def closure():
        steps.zero_grad()
        loss = sum((o[1] ** 2).sum() for o in m.forward_all())
        loss.backward()
        return loss

    for _ in range(3):
        steps.step(closure)
    rates = m.get_rate_constants()
    assert rates["280 K"]["B->C"] == rates["300 K"]["B->C"] != 0.5
    assert rates["280 K"]["A->B"] != rates["300 K"]["A->B"]


def test_nothing_is_shared_unless_asked():
    m = occupancies_kinetics_multiexperiment(CHART, [{"time": [1.0]}, {"time": [1.0]}], verbose=0)
    m.set_rate_constant("A->B", 5.0, experiment_idx=0)
    rates = m.get_rate_constants()
    assert rates["experiment 0"]["A->B"] == pytest.approx(5.0)
    assert rates["experiment 1"]["A->B"] != pytest.approx(5.0)


def test_a_shared_prior_counts_once():
    table = {"rate_prior_weight": {"B->C": 1.0}, "rate_prior_mean": 0.0, "rate_prior_std": 1.0}
    single = occupancies_kinetics(CHART, [1.0, 2.0], rate_constants={"B->C": 3.0}, regularization=table, verbose=0)
    many = [{"time": [1.0, 2.0], "rate_constants": {"B->C": 3.0}, "regularization": table} for _ in range(3)]
    shared_model = occupancies_kinetics_multiexperiment(CHART, many, shared_rates=["B->C"], verbose=0)
    apart = occupancies_kinetics_multiexperiment(CHART, many, verbose=0)
    one = single.get_regularization_loss()
    torch.testing.assert_close(shared_model.get_regularization_loss(), one)
    torch.testing.assert_close(apart.get_regularization_loss(), 3 * one)


def test_a_shared_rate_without_a_start_takes_the_geometric_mean_of_the_windows():
    m = occupancies_kinetics_multiexperiment("A->B", [{"time": [1.0, 100.0]}, {"time": [100.0, 10000.0]}], ["A->B"], 0)
    assert m.get_rate_constants()["experiment 1"]["A->B"] == pytest.approx(0.01, rel=1e-12)


def test_freezing_reaches_shared_and_own_rates():
    m = shared()
    m.freeze_rates(["B->C"])
    assert all(model.kinetics.network.rate_parameters()["B->C"].frozen for model in m.models)
    m.unfreeze_rates(["B->C"], experiment_idx=1)
    assert not m.models[0].kinetics.network.rate_parameters()["B->C"].frozen


def test_order_of_experiments_does_not_matter():
    forward = shared()
    backward = occupancies_kinetics_multiexperiment(CHART, experiments()[::-1], shared_rates=["B->C"], verbose=0)
    assert torch.equal(forward(0), backward(1))
    assert torch.equal(forward(1), backward(0))
