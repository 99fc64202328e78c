"""`python -m lightning_transformer.compare.run.job ..`: a run that ends with who started it.

The same as `python -m lightning_transformer ..`, but that it takes the end of its standard input
for a SIGTERM: no run goes on without the command that keeps account of it.
"""

import os
import signal
import sys
import threading
import time

from lightning_transformer.cli.main import main

GRACE = 60.0  # seconds in which a step has to end


def leave_at_end_of(number: int) -> None:
    """Wait until the other end of a pipe is closed; then stop, with a checkpoint where it can."""
    while os.read(number, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=leave_at_end_of, args=[0], daemon=True).start()
    sys.argv[0] = "lightning_transformer"
    main()
