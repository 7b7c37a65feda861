import subprocess
import sys

import pytest

import torchref_kinetic_plugin


def test_importing_the_package_imports_neither_torch_nor_torchref_and_says_nothing():
    code = "import sys, torchref_kinetic_plugin; print([m for m in ('torch', 'torchref', 'matplotlib') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("[]\n", "")


def test_derivatives_of_a_triggered_scheme_do_not_load_the_compiler_of_torch():
    """It takes more than a second, and torch loads it for some products with what stands still."""
    code = (
        "import sys\n"
        "from torchref_kinetic_plugin.kinetics.sensitivity import jacobian\n"
        "from torchref_kinetic_plugin.occupancies import occupancies_kinetics\n"
        "chart, rates = 'A->B,A->C,B->D,C->D,D->A', {'A->B': float('inf'), 'A->C': float('inf')}\n"
        "shares = dict(efficiencies={'A->B': 0.5, 'A->C': 0.2}, refine_efficiencies=['A->B', 'A->C'])\n"
        "model = occupancies_kinetics(chart, [1.0, 2.0, 5.0], rates, light_activated=True, verbose=0, **shares)\n"
        "print(tuple(jacobian(model)[1].shape), 'torch._dynamo' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "(4, 3, 5) False\n"


def test_every_public_name_can_be_had_and_no_other():
    for name in torchref_kinetic_plugin.__all__:
        assert getattr(torchref_kinetic_plugin, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'occupancy'"):
        torchref_kinetic_plugin.occupancy  # noqa: B018
