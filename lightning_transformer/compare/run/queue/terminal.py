"""Asks, when the command is stopped, whether its jobs stay in the queue."""

import signal
import sys


def leave_jobs(n: int, name: str, *, asks: bool) -> bool:
    """Whether to leave n jobs in the queue, which is so where nobody can be asked.

    asks: False where the command was ended by another program. A further Ctrl-C leaves them.
    """
    if not (asks and sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer = input(
            f"\nLeave {n} jobs in the queue? The same command adopts them, compare cancel {name} "
            "ends them. [Y/n] "
        )
    except (KeyboardInterrupt, EOFError):
        return True
    finally:
        signal.signal(signal.SIGINT, before)
    return answer.strip().lower() not in ("n", "no")
