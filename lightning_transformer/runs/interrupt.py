"""Ctrl-C: finish the step, keep everything, leave. A second Ctrl-C leaves at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning as L


class Stop(L.Callback):
    """Ends training between optimizer steps: at the last one, or at the next once `asked` is set.

    Lightning validates when it is told to stop, so the last steps are judged too, where max_steps
    is no multiple of val_every.
    """

    def __init__(self) -> None:
        self.asked = False

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            # Whoever wants to stop here waits: no checkpoint holds the gradients of half a step.
            trainer.should_stop = False
            return
        if trainer.world_size > 1:  # all ranks stop at the same step, or they wait for ever
            self.asked = trainer.strategy.reduce_boolean_decision(self.asked, all=False)
        if self.asked or trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True


@contextmanager
def stop_on_interrupt(stop: Stop, say: Callable[[str], None]) -> Iterator[None]:
    """Within, the first SIGINT asks the training to stop and the second raises."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread handle signals
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        say("stopping after this step and a validation; Ctrl-C again to leave at once")

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
