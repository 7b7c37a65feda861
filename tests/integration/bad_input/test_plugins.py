"""Plugins that fail, or give what is no occupancy: named, with what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from tests.integration.bad_input.inputs import Inputs
from tests.unit.plugins import fakes
from torchref_kinetic_plugin.plugins import manager

START = 0.3


def falling(parameter: Tensor) -> Tensor:
    """Occupancies of two structures at three delays."""
    excited = torch.sigmoid(parameter) * torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)
    return torch.stack([1.0 - excited, excited])


class Given(nn.Module):
    """Whatever occupancies a test wants."""

    def __init__(self, occupancies: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.parameter = nn.Parameter(torch.tensor(START, dtype=torch.float64))
        self.occupancies = occupancies

    def forward(self) -> object:
        return self.occupancies(self.parameter)

    def get_regularization_loss(self) -> Tensor:
        return 0.0 * self.parameter

    def get_parameter_groups(self, base_lr: float = 0.1) -> list[dict[str, object]]:
        return [{"params": [self.parameter], "lr": base_lr, "name": "own"}]


class WithReference(Given):
    """A module that says what references have."""

    def __init__(self, reference: object) -> None:
        super().__init__(falling)
        self.reference = reference

    def reference_occupancies(self) -> object:
        return self.reference


def offering(occupancies: Callable[[Tensor], object], name: str = "decay") -> object:
    return fakes.plugin(fakes.provider(lambda *_: [Given(occupancies)], name))


def referring(*values: float) -> object:
    reference = torch.tensor(values, dtype=torch.float64)
    return fakes.plugin(fakes.provider(lambda *_: [WithReference(reference)]))


def breaking(*_: object) -> object:
    raise RuntimeError("it is broken")


def nan_once_refined(parameter: Tensor) -> Tensor:
    good = falling(parameter)
    return good if parameter.detach().item() == START else good * torch.nan


@pytest.fixture
def install(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install plugins, ``mine`` first, and ask for the occupancies of one."""

    def installed(plugins: Sequence[object], occupancy: str = "decay") -> None:
        entries = [fakes.Installed(name, each) for name, each in zip(("mine", "other"), plugins, strict=False)]
        monkeypatch.setattr(manager, "_installed", lambda: entries)
        inputs.edit("[refinement]", f'[refinement]\noccupancy = "{occupancy}"')

    return installed


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        ([ImportError("No module named 'x'")],
         "refinement.occupancy: plugin 'mine': no loaded plugin offers the occupancy provider 'decay', and these plugins "
         "failed to load: mine: cannot be imported: ImportError: No module named 'x'"),
        ([SyntaxError("invalid syntax")], "mine: cannot be imported: SyntaxError: invalid syntax"),
        ([SystemExit(3)], "mine: cannot be imported: SystemExit: 3"),
        ([fakes.plugin("no provider")], "mine: its occupancy providers are a list of OccupancyProvider, not ['no provider']"),
        ([fakes.plugin(fakes.DECAY, refinement_strated=lambda: None)],
         "mine: unknown hook 'torchref_kinetic_refinement_strated' (did you mean 'torchref_kinetic_refinement_started'?)"),
        ([fakes.plugin(fakes.provider(lambda *_: "text"))],
         "plugin 'mine': provider 'decay': its factory gives a str; a list of one module for each of 1 experiments is"),
        ([fakes.plugin(fakes.provider(breaking))], "provider 'decay': its factory failed with RuntimeError: it is broken"),
        ([offering(breaking)], "provider 'decay': forward() failed with RuntimeError: it is broken"),
        ([offering(lambda _: [0.5, 0.5])], "forward() gives list ([0.5, 0.5]) where a tensor is wanted"),
        ([offering(lambda p: falling(p).T)], "occupancies have shape (3, 2); (n_structures, n_timepoints) = (2, 3) is"),
        ([offering(lambda p: falling(p) * torch.nan)],
         "the occupancy of structure 0 at timepoint 0 (both from 0) is not a finite number: nan"),
        ([offering(lambda p: 2.0 * falling(p))], "is above 1"),
        ([offering(lambda p: 0.5 * falling(p))], "the occupancies at timepoint 0 (from 0) sum to 0.5; 1 is wanted"),
        ([referring(1.0, torch.nan)], "reference_occupancies(), as of one timepoint: the occupancy of structure 1 at"),
        ([referring(1.0)], "reference_occupancies() have shape (1,); (2,) is wanted"),
        ([referring(0.5, 0.2)], "sum to 0.7; 1 is wanted"),
        ([offering(falling), offering(falling)],
         "plugin 'other': the occupancy provider 'decay' is offered by 'mine' and 'other'; uninstall one of them"),
    ],
)  # fmt: skip
def test_refused(
    inputs: Inputs,
    capsys: pytest.CaptureFixture[str],
    install: Callable[..., None],
    plugins: Sequence[object],
    message: str,
) -> None:
    install(plugins)
    inputs.refused(capsys, message)


def test_a_built_in_provider_is_not_replaced(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], install: Callable[..., None]
) -> None:
    install([offering(falling, "kinetics")], "kinetics")
    inputs.refused(capsys, "offered by 'builtin-kinetics' and 'mine'; uninstall one of them; --no-plugins leaves the")
    code, _ = inputs.run(capsys, "--no-plugins")
    assert code == 0


def test_a_plugin_that_fails_stops_no_run_that_needs_it_not(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], install: Callable[..., None]
) -> None:
    install([ImportError("No module named 'x'")], "kinetics")
    inputs.accepted(capsys, "2 parameters of the occupancies")


def test_the_nearest_name_is_said_of_a_provider_that_is_none(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], install: Callable[..., None]
) -> None:
    install([offering(falling)], "decays")
    inputs.refused(capsys, "unknown occupancy provider 'decays' in occupancy (did you mean 'decay'?)")


def test_occupancies_that_are_lost_during_the_fit(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], install: Callable[..., None]
) -> None:
    install([offering(nan_once_refined)])
    inputs.verb = ["refine", "--quiet"]
    inputs.refused(
        capsys, "Given: the occupancies, their regularization or their derivatives are not finite numbers at"
    )
    assert not (inputs.directory / "refined" / "result.json").exists()
