"""What torch.compile needs on a CPU besides torch: a C++ compiler, and the headers of Python."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

DEFAULTS = {"darwin": "clang++", "win32": "cl"}  # of torch


def missing_for_cpu() -> str | None:
    """What is not there, with what to install, in words; None where all of it is.

    torch calls the compiler that CXX names, else g++ (clang++ on macOS, cl on Windows).
    """
    name = os.environ.get("CXX") or DEFAULTS.get(sys.platform, "g++")
    if shutil.which(name) is None:
        return f"a C++ compiler, which torch looks for as {name} (CXX names another one)"
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").is_file():
        return f"the headers of Python ({include / 'Python.h'}, in packages named python3-dev)"
    return None
