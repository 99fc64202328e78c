"""Silences messages of Lightning that do not concern this project's runs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Wrong here, or about something that was decided on purpose.
NEEDLESS = (
    ".*does not have many workers.*",
    ".*exists and is not empty.*",
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
    ".*You defined a `.*_step` but have no `.*_dataloader`.*",
    ".*litlogger.*",
    ".*Found .* module\\(s\\) in eval mode.*",
    ".*doesn't have any parameters.*",
    ".*was called before.*update.*",
    ".*across ranks is zero.*",
    ".*sync_dist=True.*",
    # Callbacks may change in a resumed run; those that must stay are held by training.resume.
    ".*callbacks used to create the checkpoint need to be provided.*",
    # Shown wherever Slurm is installed, also to a run that is started without it on purpose.
    ".*The `srun` command is available on your system but is not used.*",
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Within, only warnings from Lightning: no adverts, nothing that the display shows already.

    Its log handlers are removed for good: under Hydra every line would come twice.
    """
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in NEEDLESS:
            warnings.filterwarnings("ignore", message=message)
        yield
