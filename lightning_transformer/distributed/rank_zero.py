"""Which process of a run this is, read from its environment, before torch knows."""

import os


def is_first() -> bool:
    """Whether this process is the only one or rank 0 of all: it alone writes results and prints.

    torchrun sets RANK, Lightning's own launcher LOCAL_RANK beside a NODE_RANK of the user's, and
    SLURM its own name.
    """
    if "RANK" in os.environ:
        return int(os.environ["RANK"]) == 0
    if "LOCAL_RANK" not in os.environ and "SLURM_PROCID" in os.environ:
        return int(os.environ["SLURM_PROCID"]) == 0
    return int(os.environ.get("LOCAL_RANK", 0)) == 0 and int(os.environ.get("NODE_RANK") or 0) == 0
