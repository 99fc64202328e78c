"""The lr that an optimizer step really uses, through Lightning."""

import lightning
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from lightning_transformer.optim.optimizers.adamw import adamw
from lightning_transformer.optim.optimizers.muon import muon
from lightning_transformer.optim.schedule.apply import lambda_lr
from lightning_transformer.optim.schedule.cosine import Cosine
from lightning_transformer.optim.schedule.wsd import WSD

TOTAL = 9
SCHEDULE = Cosine(warmup_steps=3, min_ratio=0.1)


class Recorder(lightning.LightningModule):
    """Notes the lr of every group as each optimizer step begins."""

    def __init__(self, build) -> None:
        super().__init__()
        self.build = build
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        self.used: list[list[float]] = []

    def training_step(self, batch, batch_idx):
        return self.layers(torch.ones(1, 2)).pow(2).sum()

    def configure_optimizers(self):
        optimizer = self.build(self.layers)
        optimizer.register_step_pre_hook(
            lambda opt, args, kwargs: self.used.append([g["lr"] for g in opt.param_groups])
        )
        scheduler = lambda_lr(optimizer, SCHEDULE, TOTAL)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


# it gives every step the same batch, so where it stands does not matter
ignore_place = pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint")


def fit(module, max_steps, accumulate, ckpt_path=None):
    trainer = lightning.Trainer(
        max_steps=max_steps,
        max_epochs=-1,
        accelerator="cpu",
        accumulate_grad_batches=accumulate,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(range(1000)), ckpt_path=ckpt_path, weights_only=True)
    return trainer


@ignore_place
@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize(("build", "peaks"), [(adamw, (1e-3, 1e-3)), (muon, (0.02, 3e-3))])
def test_every_step_has_its_lr_also_after_a_resume(tmp_path, build, peaks, accumulate):
    expected = [[peak * SCHEDULE(k, TOTAL) for peak in peaks] for k in range(TOTAL)]
    whole = Recorder(build)
    fit(whole, TOTAL, accumulate)
    assert whole.used == expected
    for stop in (2, 5):  # within the warm-up and after it
        half = Recorder(build)
        fit(half, stop, accumulate).save_checkpoint(tmp_path / "half.ckpt")
        resumed = Recorder(build)
        fit(resumed, TOTAL, accumulate, tmp_path / "half.ckpt")
        assert half.used + resumed.used == expected
        assert all(
            torch.equal(p, q) for p, q in zip(resumed.parameters(), whole.parameters(), strict=True)
        )


def test_a_schedule_that_does_not_fit_is_refused_before_training():
    with pytest.raises(ValueError, match=r"below trainer\.max_steps=10; try 1"):
        lambda_lr(adamw(nn.Linear(2, 2)), WSD(warmup_steps=10), 10)


def test_the_state_is_plain_numbers():
    state = lambda_lr(adamw(nn.Linear(2, 2)), SCHEDULE, TOTAL).state_dict()
    assert state["lr_lambdas"] == [None, None]
    assert state["base_lrs"] == [1e-3, 1e-3]
