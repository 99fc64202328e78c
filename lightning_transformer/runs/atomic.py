"""Files that are written completely or not at all; the one writer of the package."""

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file by ``content`` (text as UTF-8); a crash leaves the old content or the new."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content if isinstance(content, bytes) else content.encode())


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a path to write a file to, which takes the target's name when the block ends.

    The file is on the disk before it has the name, with the mode of any new file (0666 less the
    umask) whoever wrote it. If the block raises, the target is as it was and the temporary file is
    gone.
    """
    # beside the target, because a rename is atomic only within one file system
    temporary = target.with_name(f".{target.name}.tmp-{uuid.uuid4().hex}")
    try:
        temporary.touch()
        mode = stat.S_IMODE(temporary.stat().st_mode)
        yield temporary
        temporary.chmod(mode)  # safetensors makes its files 0600
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    if hasattr(os, "O_DIRECTORY"):  # not on Windows, which cannot open a folder
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
