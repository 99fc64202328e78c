"""Returning to a checkpoint: when a run is resumed, and when the guard asks to rewind."""

from dataclasses import asdict

from lightning_transformer.checkpoint import store
from lightning_transformer.errors import TrainingError
from lightning_transformer.training.guard.rewind import RewindAsked
from lightning_transformer.training.session import Session


def roll_back(s: Session, start: store.Checkpoint | None) -> None:
    """Put the run folder into the state it had at the checkpoint `start`; None = at step 0."""
    step = None if start is None else start.step
    if s.trainer.is_global_zero and s.files.checkpoints.is_dir():
        store.clean(s.files.checkpoints)
        for name in store.set_aside_after(s.files.checkpoints, step):
            s.display.say(f"{name} is kept as {store.QUARANTINE}{name}")
    s.history.truncate(-1 if step is None else step)
    at = "step 0: there is no checkpoint yet" if step is None else f"step {step:,}"
    s.display.say(f"resuming at {at}")
    if start is not None:
        validated = "val" not in s.data.splits or bool(start.metrics)
        s.callbacks.checkpointing.resume_at(start, validated=validated)
        monitor = s.callbacks.checkpointing.facts()[store.MONITOR]
        if s.trainer.is_global_zero and monitor != asdict(store.Monitor.of(start)):
            store.add_facts(start, {store.MONITOR: monitor})  # trainer.monitor may change


def rewind(s: Session, asked: RewindAsked) -> store.Checkpoint:
    """Go back to the newest checkpoint that is early enough, and skip data from there on.

    Raises TrainingError if there is none.
    """
    folder = s.files.checkpoints
    if all(found.step > asked.latest for found in store.listed(folder)):
        raise TrainingError(
            f"step {asked.step} is a spike, and no checkpoint is from step {asked.latest} or "
            "before; lower guard.back, or write checkpoints more often with trainer.save_every"
        )
    s.trainer.strategy.barrier()  # every rank has listed them before one is moved
    if s.trainer.is_global_zero:
        store.set_aside_after(folder, asked.latest)
    s.trainer.strategy.barrier()
    start = store.newest(folder, s.display.say)
    assert start is not None
    s.data.left_out.leave_out(start.step, asked.n_left_out(start.step))
    roll_back(s, start)
    return start
