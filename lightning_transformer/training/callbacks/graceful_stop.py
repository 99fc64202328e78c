"""Signals: finish the step, write a checkpoint, exit; a second signal exits at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning as L
import torch
from torch import distributed

from lightning_transformer.errors import Stopped
from lightning_transformer.training.callbacks.checkpointing import Checkpointing

# Ctrl-C; a queue's end, its warning, and the end of a terminal: the last two not on Windows.
NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
SIGNALS = tuple(signal.Signals[name] for name in NAMES if name in signal.Signals.__members__)


class AgreedSignal:
    """The signal that any rank was sent, known on every rank one step later.

    Exchanged between the hosts while the next step is computed (gloo, not the devices' own
    library), so that no device waits for it. The largest signal number wins.
    """

    def __init__(self) -> None:
        self._group = distributed.new_group(backend="gloo")
        self._value = torch.zeros((), dtype=torch.int32)
        self._work: Any = None

    def exchange(self, mine: int) -> int:
        """Send this rank's signal, and return the largest that any rank sent a step ago."""
        known = 0
        if self._work is not None:
            self._work.wait()
            known = int(self._value)
        self._value = torch.tensor(mine, dtype=torch.int32)
        self._work = distributed.all_reduce(
            self._value, op=distributed.ReduceOp.MAX, group=self._group, async_op=True
        )
        return known


class GracefulStop(L.Callback):
    """Ends training between optimizer steps: at the last one, or once a signal has come.

    At the last step Lightning is told to stop, which makes it validate first, also where max_steps
    is no multiple of val_every. At a signal a checkpoint is written and `Stopped` raised, so that
    an interrupted run has the same validations as an undisturbed one.
    """

    def __init__(self, checkpointing: Checkpointing, say: Callable[[str], None]) -> None:
        self.checkpointing, self.say = checkpointing, say
        self.signum = 0  # 0 = none has come
        self.installed = False  # whether signals come to `handle`
        self._training = False
        self._agreed: AgreedSignal | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._training = True
        if trainer.world_size > 1:
            self._agreed = AgreedSignal()
        if self.installed:
            # Lightning has just replaced our handlers. Its own talk to other processes from within
            # the handler, which can deadlock.
            self.install()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._training = False

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            # Not between micro-batches: no checkpoint holds the gradients of half a step.
            trainer.should_stop = False
            return
        signum = self.signum if self._agreed is None else self._agreed.exchange(self.signum)
        if trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True  # Lightning then validates
        elif signum:
            self.checkpointing.save(trainer, {})
            raise Stopped(signum)

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Ask the training to stop; leave at once where none is going on, or when asked again."""
        if self.signum or not self._training:
            raise KeyboardInterrupt if signum == signal.SIGINT else SystemExit(128 + signum)
        self.signum = signum
        self.say("stopping after this step with a checkpoint; again to leave at once")

    def install(self) -> None:
        """Install the signal handlers; possible in the main thread only.

        Not for a SIGHUP that is to be ignored: the run was started with `nohup`.
        """
        for number in SIGNALS:
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if not (ignored and number.name == "SIGHUP"):
                signal.signal(number, self.handle)


@contextmanager
def stop_on_signals(stop: GracefulStop) -> Iterator[None]:
    """Within, signals are handled by `stop`."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread handle signals
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    stop.installed = True
    stop.install()
    try:
        yield
    finally:
        stop.installed = False
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
