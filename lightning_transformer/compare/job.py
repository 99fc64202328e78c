"""`python -m lightning_transformer.compare.job ..`: a run that ends when whoever started it does.

The same as `python -m lightning_transformer ..`, but that it reads its standard input, and takes
the end of it for a SIGTERM: no run goes on without the command that keeps account of it.
"""

import os
import signal
import sys
import threading
import time

from lightning_transformer.cli import main

GRACE = 60.0  # seconds in which a step has to end


def leave_with_parent() -> None:
    """Wait for the other end of standard input to close; then stop, with a checkpoint if we may."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=leave_with_parent, daemon=True).start()
    sys.argv[0] = "lightning_transformer"
    main()
