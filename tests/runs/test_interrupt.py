from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import pytest

from lightning_transformer.runs.interrupt import Stop, stop_on_interrupt


def trainer(step, accumulate=1, world_size=1, others=False):
    strategy = SimpleNamespace(
        reduce_boolean_decision=lambda decision, all: decision or others,
    )
    return SimpleNamespace(
        global_step=step,
        max_steps=10,
        accumulate_grad_batches=accumulate,
        world_size=world_size,
        strategy=strategy,
        should_stop=False,
    )


def after(stop, run, batch_idx):
    stop.on_train_batch_end(run, None, None, None, batch_idx)
    return run.should_stop


def test_it_ends_at_the_last_step_and_when_asked():
    stop = Stop()
    assert not after(stop, trainer(step=9), 8)
    assert after(stop, trainer(step=10), 9)
    stop.asked = True
    assert after(stop, trainer(step=3), 2)


def test_nobody_ends_inside_a_step():
    stop = Stop()
    stop.asked = True
    run = trainer(step=0, accumulate=4)
    for batch_idx in range(3):
        run.should_stop = True  # as a time limit does
        assert not after(stop, run, batch_idx)
    assert after(stop, run, 3)


def test_what_another_wants_at_the_end_of_a_step_is_left_alone():
    run = trainer(step=2, accumulate=2)
    run.should_stop = True
    assert after(Stop(), run, 3)


def test_all_processes_end_together_when_one_is_asked():
    stop = Stop()
    assert after(stop, trainer(step=1, world_size=2, others=True), 0)
    assert stop.asked
    assert not after(Stop(), trainer(step=1, world_size=2, others=False), 0)


def test_the_first_signal_asks_and_the_second_raises():
    stop, said = Stop(), []
    before = signal.getsignal(signal.SIGINT)
    with stop_on_interrupt(stop, said.append):
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        assert len(said) == 1
        assert "Ctrl-C again to leave at once" in said[0]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_handler_of_before_returns_also_after_an_error():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError), stop_on_interrupt(Stop(), print):
        raise RuntimeError
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_signals_are_left_alone():
    seen = []

    def work():
        with stop_on_interrupt(Stop(), print):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
