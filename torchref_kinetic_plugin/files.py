"""Files that are whole or absent: atomic write, lock, hash, content gzipped or not."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from torchref_kinetic_plugin.errors import FileError, LockedError, NotWrittenError

_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
#: How the names of files begin that are being written, or were when the run was killed.
UNFINISHED = ".unfinished-"


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside ``path``; it becomes ``path`` when the block ends well.

    The name keeps the suffix, so that libraries which choose a format by it still do. When the block
    raises, the temporary file is removed and ``path`` is as it was.

    Raises
    ------
    NotWrittenError
        When the directory does not exist or cannot be written, or the disk is full.
    """
    target, temporary = Path(path), None
    try:
        prefix = f"{UNFINISHED}{target.stem}-"
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=target.suffix, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _flush(temporary)
        # mkstemp makes private files; a result should have the permissions any new file gets.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    except OSError as error:
        raise NotWrittenError(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def make_directory(path: str | os.PathLike[str], what: str = "directory") -> None:
    """Make a directory, and those above it, unless it is there.

    Parameters
    ----------
    path : path
        Of the directory.
    what : str
        What the message calls it.

    Raises
    ------
    NotWrittenError
        When it cannot be made.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWrittenError(f"cannot make the {what} {str(path)!r}: {error.strerror}") from error


def make_inner_directory(path: str | os.PathLike[str]) -> None:
    """Make a directory within an output directory, unless it is there; what is written into it stays inside.

    Raises
    ------
    FileError
        When it cannot be made, or is a link that leads elsewhere.
    """
    refuse_link_out(path)
    make_directory(path)


def refuse_link_out(path: str | os.PathLike[str]) -> None:
    """See that a directory is no link that leads out of the one it stands in.

    Raises
    ------
    FileError
        When it is.
    """
    inner = Path(path)
    if inner.is_symlink() and not inner.resolve().is_relative_to(inner.parent.resolve()):
        raise FileError(
            f"{str(inner)!r} is a link that leads out of its directory, to {str(inner.resolve())!r}; nothing is "
            "written there: remove the link"
        )


def write_bytes(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(path, text.encode("utf-8"))


def remove(path: str | os.PathLike[str]) -> None:
    """Remove a file, if it is there.

    Raises
    ------
    NotWrittenError
        When it cannot be removed.
    """
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise NotWrittenError(f"cannot remove {str(path)!r}: {error.strerror}") from error


def remove_unfinished(*directories: Path) -> None:
    """Remove what was being written in these directories when a run was killed; nobody may be writing there.

    Raises
    ------
    NotWrittenError
        When something cannot be removed.
    """
    for directory in directories:
        for path in directory.glob(f"{UNFINISHED}*"):
            remove(path)


@contextmanager
def lock(directory: str | os.PathLike[str], *folders: str) -> Iterator[None]:
    """Hold a directory for one run; the lock dies with the process, and the next run removes what that left unfinished.

    Parameters
    ----------
    directory : path
        Where the run writes.
    *folders : str
        Folders in it where it writes too.

    Raises
    ------
    LockedError
        When another process holds it.
    NotWrittenError
        When nothing can be written there.
    """
    place = Path(directory)
    try:
        # A link by this name is none of ours: what it leads to stays as it is.
        file = os.fdopen(os.open(place / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+b", buffering=0)
    except OSError as error:
        raise NotWrittenError(f"cannot lock {str(directory)!r}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(str(os.getpid()).encode())
        except BlockingIOError:
            file.seek(0)
            owner = file.read().decode().strip() or "unknown"
            raise LockedError(
                f"{str(directory)!r} is in use by another run (process {owner}); wait for it, or choose "
                "another output directory"
            ) from None
        except OSError as error:
            raise NotWrittenError(f"cannot lock {str(directory)!r}: {error.strerror}") from error
        remove_unfinished(place, *(place / folder for folder in folders))
        yield


@contextmanager
def output_directory(directory: str | os.PathLike[str], *folders: str) -> Iterator[None]:
    """Make a directory for results and hold it for one run: who cannot write there is told before anything is computed.

    Parameters
    ----------
    directory : path
        Where the run writes.
    *folders : str
        Folders in it where it writes too.

    Raises
    ------
    FileError
        When it cannot be made or written in, another process holds it, or a folder is a link that leads elsewhere.
    """
    make_directory(directory, "output directory")
    for folder in folders:
        refuse_link_out(Path(directory) / folder)
    with lock(directory, *folders):
        yield


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Content of a file, unpacked when it is gzipped, whatever its name.

    Raises
    ------
    FileError
        When it is missing, unreadable, empty, or a gzip file cut short.
    """
    shown = repr(os.fspath(path))
    try:
        content = Path(path).read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise FileError(f"no such file: {shown}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{shown} is a damaged or incomplete gzip file: {error}") from error
    except OSError as error:
        raise FileError(f"cannot read {shown}: {error.strerror}") from error
    if not content.strip():
        raise FileError(f"{shown} is empty")
    return content


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise FileError(f"cannot read {str(path)!r}: {error.strerror}") from error
    return digest.hexdigest()
