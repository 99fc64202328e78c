"""Gives the report of a comparison to the loggers of its runs, as a run of its own.

`python -m lightning_transformer.training.loggers.keep_report FOLDER`, with a question as JSON on
standard input: the overrides of one of the runs, and folders of further options. A process of its
own, because `compare` starts without torch.
"""

import json
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from lightning_transformer.config.compose import composed, composer, register
from lightning_transformer.errors import ConfigError
from lightning_transformer.training.loggers.base import RunLogger
from lightning_transformer.training.loggers.lifecycle import make_loggers

REPORT = ("report.html", "report.md", "report.json", "report.csv")


def keep_report(cfg: DictConfig, folder: Path) -> list[str]:
    """The names of the loggers that have kept the report in the folder of a comparison."""
    files = [folder / name for name in REPORT if (folder / name).is_file()]
    kept, place = [], folder / "report"  # its pictures are there
    place.mkdir(exist_ok=True)
    for logger in make_loggers(cfg, place):
        if isinstance(logger, RunLogger) and logger.keeps_files:
            logger.log_hyperparams({"comparison": folder.name})
            logger.finish("finished", files)
            kept.append(type(logger).__name__)
    return kept


def main() -> int:
    """Return the exit status: 0, or 2 where a logger cannot be made."""
    question: dict[str, Any] = json.load(sys.stdin)
    register()
    try:
        with composer(question["config_dirs"]):
            cfg = composed(question["overrides"])
        kept = keep_report(cfg, Path(sys.argv[1]))
    except ConfigError as error:
        print(f"the report was not given to the loggers: {error}", file=sys.stderr)
        return 2
    print(f"logged    the report, with {', '.join(kept)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
