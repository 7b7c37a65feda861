import subprocess
import sys

import pytest

import torchref_kinetic_plugin


def test_importing_the_package_imports_neither_torch_nor_torchref_and_says_nothing():
    code = "import sys, torchref_kinetic_plugin; print([m for m in ('torch', 'torchref', 'matplotlib') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("[]\n", "")


def test_every_public_name_can_be_had_and_no_other():
    for name in torchref_kinetic_plugin.__all__:
        assert getattr(torchref_kinetic_plugin, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'occupancy'"):
        torchref_kinetic_plugin.occupancy  # noqa: B018
