"""How the command line ends: one line on standard error, and an exit code."""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from lightning_transformer.errors import ConfigError, Stopped, TrainingError
from lightning_transformer.runs.result import TRACEBACK_FILE


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (--help shows all options)\n")


def exit_code(error: BaseException) -> int:
    """2 = the configuration cannot work, 1 = any other failure, 128 + number = a signal."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    if isinstance(error, Stopped):
        return 128 + error.signum
    return 2 if isinstance(error, ConfigError) else 1


def refuse(error: Exception, folder: Path | None = None) -> NoReturn:
    """Print what is wrong, in one line if the user can do something about it, and exit."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    if isinstance(error, ConfigError | TrainingError) or folder is None:
        print(f"error: {error}", file=sys.stderr)
    else:
        print(
            f"error: {type(error).__name__}: {error}\n"
            f"traceback in {folder / TRACEBACK_FILE}, or with HYDRA_FULL_ERROR=1 here",
            file=sys.stderr,
        )
    sys.exit(exit_code(error))
