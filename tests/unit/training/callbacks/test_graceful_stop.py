from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import pytest

from lightning_transformer.training.callbacks import graceful_stop
from lightning_transformer.training.callbacks.graceful_stop import (
    GracefulStop,
    Stopped,
    stop_on_signals,
)


class Saves:
    """In place of the callback that writes checkpoints: counts."""

    count = 0

    def save(self, trainer, metrics):
        assert metrics == {}
        self.count += 1


def trainer(step, accumulate=1, world_size=1):
    return SimpleNamespace(
        global_step=step,
        max_steps=10,
        accumulate_grad_batches=accumulate,
        world_size=world_size,
        should_stop=False,
    )


def stopping(said=None):
    """A callback in the middle of a training on one device."""
    stop = GracefulStop(Saves(), [].append if said is None else said.append)
    stop.on_train_start(trainer(0), None)
    return stop


def after(stop, run, batch_idx):
    stop.on_train_batch_end(run, None, None, None, batch_idx)
    return run.should_stop


@pytest.fixture(autouse=True)
def handlers_of_before():
    before = {number: signal.getsignal(number) for number in graceful_stop.SIGNALS}
    yield
    for number, handler in before.items():
        assert signal.getsignal(number) is handler
        signal.signal(number, handler)


def test_at_the_last_step_lightning_is_to_validate():
    stop = stopping()
    assert not after(stop, trainer(step=9), 8)
    assert after(stop, trainer(step=10), 9)
    stop.signum = signal.SIGTERM
    assert after(stop, trainer(step=10), 9)  # nothing is left to do, so nothing is lost
    assert stop.checkpointing.count == 0


@pytest.mark.parametrize("signum", graceful_stop.SIGNALS)
def test_at_a_signal_a_checkpoint_is_written_and_training_ends(signum):
    stop = stopping()
    stop.handle(signum, None)
    with pytest.raises(Stopped) as caught:
        after(stop, trainer(step=3), 2)
    assert caught.value.signum == signum
    assert stop.checkpointing.count == 1


def test_nobody_ends_inside_a_step():
    stop = stopping()
    stop.handle(signal.SIGTERM, None)
    run = trainer(step=0, accumulate=4)
    for batch_idx in range(3):
        run.should_stop = True  # as a time limit does
        assert not after(stop, run, batch_idx)
    with pytest.raises(Stopped):
        after(stop, run, 3)


def test_what_another_wants_at_the_end_of_a_step_is_left_alone():
    run = trainer(step=2, accumulate=2)
    run.should_stop = True
    assert after(stopping(), run, 3)


def test_all_processes_end_at_the_step_at_which_all_know(monkeypatch):
    told = iter([0, 0, signal.SIGTERM])
    monkeypatch.setattr(
        graceful_stop, "AgreedSignal", lambda: SimpleNamespace(exchange=lambda mine: next(told))
    )
    stop = GracefulStop(Saves(), print)
    stop.on_train_start(trainer(0, world_size=2), None)
    stop.signum = signal.SIGTERM  # known here, and not yet elsewhere
    for step in (1, 2):
        assert not after(stop, trainer(step=step, world_size=2), step - 1)
    with pytest.raises(Stopped):
        after(stop, trainer(step=3, world_size=2), 2)


@pytest.mark.parametrize(
    ("signum", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_the_first_signal_asks_and_the_second_raises(signum, raised):
    said = []
    stop = GracefulStop(Saves(), said.append)
    with stop_on_signals(stop):
        stop.on_train_start(trainer(0), None)
        signal.raise_signal(signum)
        assert stop.signum == signum
        assert len(said) == 1
        assert "again to leave at once" in said[0]
        with pytest.raises(raised) as caught:
            signal.raise_signal(signum)
    if raised is SystemExit:
        assert caught.value.code == 143


def test_where_no_training_is_going_on_a_signal_ends_at_once():
    stop = GracefulStop(Saves(), print)
    with stop_on_signals(stop):
        with pytest.raises(SystemExit, match="143"):
            signal.raise_signal(signal.SIGTERM)
        stop.on_train_start(trainer(0), None)
        stop.on_train_end(trainer(10), None)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_handler_that_was_put_before_ours_as_training_starts_is_left_out():
    stop, asked = GracefulStop(Saves(), lambda text: None), []
    with stop_on_signals(stop):
        signal.signal(signal.SIGTERM, lambda *args: asked.append(args))
        stop.on_train_start(trainer(0), None)
        signal.raise_signal(signal.SIGTERM)
    assert (stop.signum, asked) == (signal.SIGTERM, [])


def test_the_handlers_of_before_return_also_after_an_error():
    with pytest.raises(RuntimeError), stop_on_signals(GracefulStop(Saves(), print)):
        raise RuntimeError


def test_in_another_thread_signals_are_left_alone():
    seen = []

    def work():
        with stop_on_signals(GracefulStop(Saves(), print)):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
