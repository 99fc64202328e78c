from __future__ import annotations

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, Timer
from lightning.pytorch.strategies import DDPStrategy

from lightning_transformer.checkpoint.io import SafeCheckpointIO
from lightning_transformer.training.callbacks.checkpointing import Checkpointing
from lightning_transformer.training.callbacks.graceful_stop import GracefulStop
from lightning_transformer.training.trainer import TrainerOptions


def make(folder, **options):
    callbacks = options.pop("callbacks", [])
    options = TrainerOptions(**{"accelerator": "cpu", **options})
    return options.to_lightning(folder=folder, logger=[], callbacks=callbacks, wide=False)


def test_the_names_of_this_project_become_those_of_lightning(tmp_path):
    made = make(tmp_path, max_steps=50, val_every=7, accumulate=3, clip=None, log_every=5)
    assert made.max_steps == 50
    assert made.max_epochs == -1
    assert made.accumulate_grad_batches == 3
    # Lightning counts micro-batches.
    assert made.val_check_interval == 21
    assert made.check_val_every_n_epoch is None
    assert made.gradient_clip_val is None
    assert made.default_root_dir == str(tmp_path)
    assert made.num_sanity_val_steps == 0
    assert isinstance(made.strategy.checkpoint_io, SafeCheckpointIO)
    assert made.progress_bar_callback is None


def test_validation_comes_at_the_end_of_a_run_shorter_than_its_interval(tmp_path):
    assert make(tmp_path, max_steps=5, val_every=200).val_check_interval == 5


def test_checkpoints_come_last_and_our_callbacks_after_the_time_limit(tmp_path):
    checkpointing = Checkpointing(tmp_path / "checkpoints", val_every=10, save_every=None)
    stop = GracefulStop(checkpointing, print)
    made = make(tmp_path, callbacks=[checkpointing, stop], max_minutes=1.5)
    (timer,) = (c for c in made.callbacks if isinstance(c, Timer))
    assert timer.time_remaining() == 90
    order = [made.callbacks.index(c) for c in (timer, stop, checkpointing)]
    assert order == sorted(order)
    assert not any(isinstance(c, ModelCheckpoint) for c in made.callbacks)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_steps": 0}, "trainer.max_steps=0 must be at least 1"),
        ({"val_every": -2}, "trainer.val_every=-2 must be at least 1"),
        ({"save_every": 0}, "trainer.save_every=0 must be at least 1"),
        ({"log_every": 0}, "trainer.log_every=0 must be at least 1"),
        ({"accumulate": 0}, "trainer.accumulate=0 must be at least 1"),
        ({"clip": 0.0}, "trainer.clip=0.0 must be a positive number"),
        ({"clip": float("nan")}, "trainer.clip=nan must be a positive number"),
        ({"clip_value": 0.0}, "trainer.clip_value=0.0 must be a positive number"),
        (
            {"clip_value": 0.5},
            "trainer.clip_value=0.5 beside trainer.clip=1.0: .* add trainer.clip=null",
        ),
        ({"monitor_mode": "up"}, "trainer.monitor_mode=up must be min, max or null"),
        ({"monitor": "val/zeal"}, "trainer.monitor_mode=null does not tell"),
        ({"max_minutes": 0.0}, "trainer.max_minutes=0.0 must be a positive number"),
        ({"limit_val_batches": 0}, "trainer.limit_val_batches=0 must be at least 1"),
        ({"limit_test_batches": -1}, "trainer.limit_test_batches=-1 must be at least 1"),
        ({"devices": 0}, "trainer.devices=0 must be at least 1"),
        ({"compile": "maybe"}, "trainer.compile=maybe must be true, false or auto"),
        ({"precision": "half"}, "Precision 'half' is invalid"),
        ({"strategy": "nope"}, "invalid strategy name"),
        ({"accelerator": "nope"}, "invalid accelerator name"),
        ({"profiler": "nope"}, "trainer.profiler=nope must be one of simple, advanced, pytorch"),
    ],
)
def test_what_cannot_be_is_a_value_error(tmp_path, options, words):
    with pytest.raises(ValueError, match=words.replace("`", ".")):
        make(tmp_path, **options)


@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_no_gpu(tmp_path, monkeypatch, accelerator):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"accelerator={accelerator} but torch sees no GPU; use"):
        make(tmp_path, accelerator=accelerator)


def test_several_devices_share_no_sampler_of_lightning(tmp_path):
    made = make(tmp_path, devices=2, strategy="ddp")
    assert isinstance(made.strategy, DDPStrategy)
    assert made.world_size == 2
    assert made._accelerator_connector.use_distributed_sampler is False
