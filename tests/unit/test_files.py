import errno
import hashlib
import os
import subprocess
import sys

import pytest

from torchref_kinetic_plugin import files
from torchref_kinetic_plugin.errors import FileError, LockedError, NotWrittenError


def test_atomic_path_replaces_only_when_the_block_ends_well(tmp_path):
    target = tmp_path / "rates.csv"
    target.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        assert temporary.suffix == ".csv"
        raise RuntimeError
    assert target.read_text() == "old"
    with files.atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["rates.csv"]


def test_atomic_files_have_the_permissions_of_new_files(tmp_path):
    files.write_text(tmp_path / "a", "x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_missing_directory_is_named(tmp_path):
    with pytest.raises(FileError, match="cannot write .*nowhere.*No such file"):
        files.write_text(tmp_path / "nowhere" / "a", "x")


def test_lock_refuses_a_second_run_and_ends_with_the_first(tmp_path):
    other = f"import sys; from torchref_kinetic_plugin import files\nwith files.lock({str(tmp_path)!r}): print('held')"
    with files.lock(tmp_path):
        with pytest.raises(LockedError, match=f"in use by another run .process {os.getpid()}"), files.lock(tmp_path):
            pass
        run = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=False)
        assert "LockedError" in run.stderr
    run = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=False)
    assert run.stdout == "held\n"


def test_inner_directories_stay_inside(tmp_path):
    output, elsewhere = tmp_path / "output", tmp_path / "elsewhere"
    for directory in (output, elsewhere, output / "kept"):
        directory.mkdir()
    (output / "inside").symlink_to("kept")
    (output / "outside").symlink_to("../elsewhere")
    (output / "nowhere").symlink_to("../not_made_yet")
    for name in ("new", "kept", "inside"):
        files.make_inner_directory(output / name)
        assert (output / name).is_dir()
    for name in ("outside", "nowhere"):
        with pytest.raises(FileError, match="is a link that leads out of its directory, to"):
            files.make_inner_directory(output / name)
    assert not (tmp_path / "not_made_yet").exists()


def test_sha256_is_that_of_the_content(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000)
    assert files.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(FileError, match="cannot read"):
        files.sha256(tmp_path / "b")


def test_a_disk_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    files.write_text(tmp_path / "rates.csv", "old")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(NotWrittenError, match=r"^cannot write '.*rates\.csv': No space left on device$"):
        files.write_text(tmp_path / "rates.csv", "new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"rates.csv": "old"}


def test_the_next_run_removes_what_a_killed_one_left_and_nothing_else(tmp_path):
    code = (
        "import os, sys; from torchref_kinetic_plugin import files\n"
        "with files.atomic_path(sys.argv[1]) as path: path.write_text('half'); os.kill(os.getpid(), 9)"
    )
    (tmp_path / "maps").mkdir()
    (tmp_path / "mine").mkdir()
    for name in ("rates.csv", "maps/a.mtz", "mine/b.mtz"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=False)
    left = {path.parent.name for path in tmp_path.rglob(f"{files.UNFINISHED}*")}
    assert left == {tmp_path.name, "maps", "mine"}
    (tmp_path / ".my-notes").touch()
    with files.lock(tmp_path, "maps", "plots"):
        pass
    assert [path.parent.name for path in tmp_path.rglob(f"{files.UNFINISHED}*")] == ["mine"]
    assert (tmp_path / ".my-notes").exists()
