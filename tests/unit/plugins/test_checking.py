import pytest
import torch
from torch import nn

from tests.unit.plugins import fakes
from torchref_kinetic_plugin.plugins import OccupancyError, PluginManager, require_valid_occupancies

GOOD = torch.tensor([[0.2, 0.5], [0.8, 0.5]], dtype=torch.float64)


class Given(nn.Module):
    def __init__(self, value=GOOD, loss=None, groups=None):
        super().__init__()
        self.value, self.loss, self.groups = value, loss, groups
        self.own = nn.Parameter(torch.zeros(()))

    def forward(self):
        return self.value() if callable(self.value) else self.value

    def get_regularization_loss(self):
        return torch.zeros(()) if self.loss is None else self.loss

    def get_parameter_groups(self, base_lr=0.1):
        group = {"params": [self.own], "lr": base_lr, "name": "own"}
        return [group] if self.groups is None else self.groups(self, group)


class OnlyForward(nn.Module):
    def forward(self):
        return GOOD


class NoForward(nn.Module):
    def get_regularization_loss(self): ...

    def get_parameter_groups(self, base_lr): ...


def changed(row, column, value):
    tensor = GOOD.clone()
    tensor[row, column] = value
    return Given(tensor)


BAD = {
    "no module": ("text", "str .*nn.Module"),
    "nothing": (None, "None where an nn.Module"),
    "no methods": (OnlyForward(), r"no method get_regularization_loss\(\), get_parameter_groups\(\)"),
    "no forward": (NoForward(), r"no method forward\(\)"),
    "raising": (Given(lambda: 1 / 0), "forward.. failed with ZeroDivisionError"),
    "no tensor": (Given([0.5, 0.5]), "list .*tensor is wanted"),
    "integers": (Given(torch.tensor([[1, 0], [0, 1]])), "int64"),
    "transposed": (Given(torch.full((3, 2), 1 / 3)), r"shape \(3, 2\).*\(2, 2\) is wanted"),
    "one dimension": (Given(torch.ones(2)), r"shape \(2,\)"),
    "NaN": (changed(0, 1, float("nan")), "structure 0 at timepoint 1 .* not a finite number"),
    "infinite": (changed(1, 0, float("inf")), "not a finite number"),
    "negative": (Given(torch.tensor([[-0.1, 0.5], [1.1, 0.5]])), "structure 0 at timepoint 0 .* is negative: -0.1"),
    "sum": (changed(1, 1, 0.4), "timepoint 1 .* sum to 0.9; 1 is wanted"),
}


def test_good_occupancies_pass_in_either_precision():
    assert require_valid_occupancies(Given(), 2, 2, "decay", "mine") is GOOD
    require_valid_occupancies(Given(torch.softmax(torch.randn(2, 2), 0)), 2, 2, "decay", "mine")


@pytest.mark.parametrize("kind", BAD)
def test_bad_occupancies_name_plugin_provider_and_problem(kind):
    module, message = BAD[kind]
    with pytest.raises(OccupancyError, match=f"plugin 'mine': provider 'decay': .*{message}"):
        require_valid_occupancies(module, 2, 2, "decay", "mine")


@pytest.mark.parametrize("value", [torch.full((3, 7), 1 / 3), torch.full((3, 3), float("nan"))], ids=["shape", "NaN"])
def test_a_run_with_a_broken_plugin_is_refused(value):
    decay = fakes.provider(lambda *_: [Given(value)])
    manager = PluginManager(entry_points=[fakes.Installed("mine", fakes.plugin(decay))])
    with pytest.raises(OccupancyError, match="plugin 'mine': provider 'decay'"):
        manager.build("decay", None, fakes.EXPERIMENTS[:1], fakes.NAMES, 1)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (list, "0 modules"),
        (Given, "a Given"),
        (lambda: [Given(loss=torch.zeros(2))], "finite scalar"),
        (lambda: [Given(loss=0.0)], "finite scalar"),
        (lambda: [Given(loss=torch.tensor(float("nan")))], "finite scalar"),
        (lambda: [Given(groups=lambda *_: [])], "leaves out own"),
        (lambda: [Given(groups=lambda _, group: [group, group])], "lists own twice"),
        (lambda: [Given(groups=lambda m, _: [{"params": [m.own]}])], "params, lr and name"),
        (lambda: [Given(groups=lambda _, g: [g, {**g, "params": [nn.Parameter(torch.ones(1))]}])], "not the module's"),
    ],
)
def test_what_would_go_wrong_in_refinement_is_refused_before(modules, message):
    manager = PluginManager(entry_points=[fakes.Installed("mine", fakes.plugin(fakes.provider(lambda *_: modules())))])
    schedule = fakes.ExperimentSchedule("x", (1.0, 2.0))
    with pytest.raises(OccupancyError, match=f"plugin 'mine'.*{message}"):
        manager.build("decay", None, [schedule], ("a", "b"), 1)
