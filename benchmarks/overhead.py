"""Lightning's share of a training step: our run against a bare loop with the same model and data.

    python benchmarks/overhead.py [--rounds 5] [--steps 300]

A model so small that the loop around it shows. Both use the same loader, loss, clipping, optimizer
and schedule; Lightning's row is its trainer with all else off; ours adds the random numbers per
step, the guard, the meter, the CSV and TensorBoard. CPU time of the process, one thread, all
interleaved.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import torch

from lightning_transformer.build import build, build_model
from lightning_transformer.config.compose import composed, composer, register
from lightning_transformer.optim.schedule.apply import lambda_lr
from lightning_transformer.training.callbacks.checkpointing import Checkpointing
from lightning_transformer.training.callbacks.graceful_stop import GracefulStop
from lightning_transformer.training.callbacks.metric_logger import MetricLogger
from lightning_transformer.training.callbacks.progress import Display
from lightning_transformer.training.callbacks.resume_lr import ResumeLR
from lightning_transformer.training.lightning_warnings import quiet_lightning
from lightning_transformer.training.loggers.csv import History
from lightning_transformer.training.loggers.lifecycle import make_loggers

TINY = (
    "model.n_layers=1",
    "model.d_model=16",
    "attention.n_heads=1",
    "data.seq_len=16",
    "data.batch_size=4",
    "optimizer=adamw",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    torch.set_num_threads(1)
    bare, plain, ours = [], [], []
    for _ in range(args.rounds + 1):
        bare.append(run_bare(args.steps))
        with quiet_lightning():
            plain.append(run_plain_lightning(args.steps))
            ours.append(run_ours(args.steps))
    bare, plain, ours = bare[1:], plain[1:], ours[1:]  # the first round warms up
    print(
        f"{args.steps} steps x {args.rounds} rounds, ms of CPU time per step: median [min .. max]"
    )
    for name, values in (("bare loop", bare), ("Lightning", plain), ("ours", ours)):
        shares = [b - a for a, b in zip(bare, values, strict=True)]
        print(f"{name:10} {_spread(values)}   more than the bare loop {_spread(shares)}")


def prepared(steps: int):
    """Configuration, data and model of one round."""
    register()
    with composer():
        limits = [f"trainer.max_steps={steps}", f"trainer.val_every={steps}"]
        cfg = composed([*TINY, *limits, "callbacks=none", "trainer=cpu"])
    data = build(cfg, "data")
    data.prepare()
    del data.splits["val"]  # training steps alone are timed
    model = build_model(cfg, vocabulary=data.vocabulary, labels=[], seed=1)
    data.connect({split: model.task.collator(split) for split in data.splits}, 1, 1)
    return cfg, data, model


def run_bare(steps: int) -> float:
    """Milliseconds per step of the plainest loop that does the same training."""
    _, data, model = prepared(steps)
    optimizer = model.make_optimizer(model)
    schedule = lambda_lr(optimizer, model.schedule, steps)
    batches = iter(data.train_dataloader())
    start = time.process_time()
    for _ in range(steps):
        batch = next(batches)
        loss = model.task(model.features(batch), batch).objective / batch.step_targets
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return 1e3 * (time.process_time() - start) / steps


class Clock(L.Callback):
    """CPU time between the first and the last step."""

    def on_train_start(self, trainer, pl_module) -> None:
        self.began = time.process_time()

    def on_train_end(self, trainer, pl_module) -> None:
        self.took = time.process_time() - self.began


class Plain(L.LightningModule):
    """The least that Lightning needs to do the same training."""

    def __init__(self, model) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch, batch_idx):
        return self.model.task(self.model.features(batch), batch).objective / batch.step_targets

    def configure_optimizers(self):
        optimizer = self.model.make_optimizer(self.model)
        schedule = lambda_lr(optimizer, self.model.schedule, self.trainer.max_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def run_plain_lightning(steps: int) -> float:
    """Milliseconds per step of a Lightning trainer with everything off that can be."""
    _, data, model = prepared(steps)
    clock = Clock()
    trainer = L.Trainer(
        max_steps=steps,
        accelerator="cpu",
        gradient_clip_val=1.0,
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(Plain(model), data.train_dataloader())
    return 1e3 * clock.took / steps


def run_ours(steps: int) -> float:
    """Milliseconds per step of a run as the command line makes it."""
    cfg, data, model = prepared(steps)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clock = Clock()
        display, every = Display(), cfg.trainer.log_every
        guard = build(cfg, "guard", log_every=every, say=display.say)
        checkpointing = Checkpointing(folder / "checkpoints", val_every=steps, save_every=None)
        own = [
            guard,
            MetricLogger(display, every),
            ResumeLR(),
            GracefulStop(checkpointing, display.say),
            checkpointing,
        ]
        callbacks = [clock, *own]
        loggers = [History(folder), *make_loggers(cfg, folder)]
        options = build(cfg, "trainer")
        trainer = options.to_lightning(
            folder=folder, logger=loggers, callbacks=callbacks, wide=False
        )
        trainer.fit(model, datamodule=data)
    return 1e3 * clock.took / steps


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f} [{min(values):.3f} .. {max(values):.3f}]"


if __name__ == "__main__":
    main()
