"""The report of a finished output directory."""

import fcntl

import pytest

from tests.unit.output.report_material import material
from torchref_kinetic_plugin.errors import FileError, LockedError
from torchref_kinetic_plugin.output.tables import write_tables
from torchref_kinetic_plugin.workflow.reporting import report


def test_a_report_is_written_beside_the_result(tmp_path):
    write_tables(tmp_path, material(tmp_path, everything=False).result)
    assert report(tmp_path) == tmp_path / "report.html"
    text = (tmp_path / "report.html").read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert "<title>By hand</title>" in text


def test_not_while_a_run_works_there(tmp_path):
    write_tables(tmp_path, material(tmp_path, everything=False).result)
    with (tmp_path / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match="in use by another run"):
            report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match="no such directory"):
        report(tmp_path / "nowhere")
