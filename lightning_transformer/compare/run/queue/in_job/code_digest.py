"""The digest of the code that a comparison was started with: jobs of other code refuse to run."""

import hashlib
import subprocess
from pathlib import Path

from lightning_transformer.paths import CONF, PACKAGE

KINDS = (".py", ".yaml")


def code_sha256(folders: tuple[Path, ...] = (PACKAGE, CONF)) -> str:
    """SHA-256 of the names and contents of all Python and configuration files."""
    digest = hashlib.sha256()
    for folder in folders:
        files = [path for path in folder.rglob("*") if path.suffix in KINDS]
        for path in sorted(files):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def head() -> str:
    """The commit that the code was checked out at, for messages; empty outside a checkout."""
    call = ["git", "--no-optional-locks", "-C", str(PACKAGE.parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()[:12] if done.returncode == 0 else ""
