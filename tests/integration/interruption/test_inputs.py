"""Data that change or vanish while they are refined: the result names what was read."""

import pytest

from tests.unit.campaign.tiny_series import make_series
from torchref_kinetic_plugin import refine
from torchref_kinetic_plugin.files import sha256


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other data")])
def test_the_result_has_the_digest_of_what_was_read(tmp_path, spoil):
    path, data = make_series(tmp_path), tmp_path / "t01.mtz"
    before = sha256(data)

    def tell(progress):
        if progress.stage == "fit, amplitudes":
            spoil(data)

    result = refine(path, on_progress=tell)
    assert result.inputs[str(data)] == before
    assert (tmp_path / "refined" / "result.json").is_file()
