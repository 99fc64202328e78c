"""Whether the disk has room for what is to be written."""

import errno
import shutil
from pathlib import Path


def check_space(folder: Path, n_bytes: int) -> None:
    """Raise OSError (ENOSPC) where the disk has not room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OSError(
            errno.ENOSPC,
            f"a checkpoint needs {n_bytes / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free",
            str(folder),
        )
