"""What importing TorchRef leaves behind: nothing."""

from __future__ import annotations

import subprocess
import sys

import torch

from torchref_kinetic_plugin.bridge.environment import framework, settings

_SCRIPT = """
import os, torch
torch.set_num_threads(1)
before = dict(os.environ)
import torchref_kinetic_plugin.bridge as bridge
import sys
assert "torchref" not in sys.modules and "gemmi" not in sys.modules
from torchref_kinetic_plugin.bridge.environment import framework
framework("model").ModelFT(verbose=0)
changed = {k for k in os.environ if os.environ[k] != before.get(k)} | {k for k in before if k not in os.environ}
assert not changed - {"TORCHINDUCTOR_CACHE_DIR"}, changed
assert torch.get_num_threads() == 1
"""


def test_import_is_lazy_silent_and_leaves_the_process_as_it_was() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", _SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""


def test_settings_are_restored_after_errors() -> None:
    config = framework("config")
    before = (config.dtypes.float, config.dtypes.complex, config.sigma_cutoff_ed.value, config.caching.value)
    try:
        with settings(dtype=torch.float64, cutoff=4.5):
            assert config.dtypes.float is torch.float64
            assert config.dtypes.complex is torch.complex128
            assert config.sigma_cutoff_ed.value == 4.5
            assert not config.caching.value
            raise KeyError
    except KeyError:
        pass
    assert before == (
        config.dtypes.float,
        config.dtypes.complex,
        config.sigma_cutoff_ed.value,
        config.caching.value,
    )
