"""Lightning speaks only when it has something to say to this run."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Lightning says these to everybody; here they are either wrong or decided on purpose.
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
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Within, only warnings from Lightning, each once: no adverts, nothing that the display says.

    Its own log handlers go for good: under Hydra every line would come twice.
    """
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in NEEDLESS:
            warnings.filterwarnings("ignore", message=message)
        yield
