import copy
import io

import lightning
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from lightning_transformer.nn.linear import Head
from lightning_transformer.optim.optimizers.muon import muon
from lightning_transformer.optim.schedule.apply import lambda_lr
from lightning_transformer.optim.schedule.cosine import Cosine


def tiny(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Embedding(7, 8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8), Head(8, 7, bias=False)
    )


def loss_of(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


def batches(n: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(7, (4, 6), generator=generator) for _ in range(n)]


def train(model, optimizer, data, scheduler=None) -> list[float]:
    losses = []
    for batch in data:
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        losses.append(loss.item())
    return losses


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.usefixtures("in_bf16")
def test_it_equals_torchs_two_optimizers_stepped_one_after_the_other():
    model, other = tiny(), tiny()
    one = muon(model, lr=0.01, muon_lr=0.05, momentum=0.9, muon_weight_decay=0.1, weight_decay=0.2)
    hidden = [other[1].weight, other[3].weight]
    first = torch.optim.Muon(hidden, lr=0.05, momentum=0.9, weight_decay=0.1)
    rest = [
        {"params": [other[4].weight], "weight_decay": 0.2},
        {"params": [other[0].weight, other[1].bias, other[3].bias], "weight_decay": 0.0},
    ]
    second = torch.optim.AdamW(rest, lr=0.01, betas=(0.9, 0.95), eps=1e-8, fused=True)
    for batch in batches(5):
        for net, optimizers in ((model, [one]), (other, [first, second])):
            net.zero_grad()
            loss_of(net, batch).backward()
            for optimizer in optimizers:
                optimizer.step()
    assert same(model, other)
    assert not same(model, tiny())


def test_a_matrix_moves_by_an_orthogonal_step():
    model = nn.Sequential(nn.Linear(16, 8, bias=False), nn.Linear(8, 3))
    before = model[0].weight.detach().clone()
    optimizer = muon(model, muon_lr=0.5)
    torch.manual_seed(0)
    model(torch.randn(32, 16)).pow(2).sum().backward()
    gradient = model[0].weight.grad.clone()
    optimizer.step()
    moved = (before - model[0].weight.detach()) / 0.5
    u, s, vt = torch.linalg.svd(gradient.double(), full_matrices=False)
    big = s > 0.1 * s[0]
    # Newton-Schulz leaves singular values between about 0.7 and 1.2 along the gradient's own axes
    along = (u.T @ moved.double() @ vt.T).diagonal()[big]
    assert ((along > 0.6) & (along < 1.3)).all()


def test_groups_are_named_and_hold_every_parameter_once():
    model = tiny()
    groups = muon(model, eps=1e-3).param_groups
    assert [group["name"] for group in groups] == ["matrices", "decay", "no_decay"]
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert [p.shape for p in groups[0]["params"]] == [(16, 8), (8, 16)]
    assert [p.shape for p in groups[1]["params"]] == [(7, 8)]
    assert (groups[0]["lr"], groups[1]["lr"], groups[2]["lr"]) == (0.02, 3e-3, 3e-3)
    assert groups[1]["eps"] == groups[2]["eps"] == 1e-3
    assert groups[0]["eps"] == 1e-7  # eps is AdamW's; Newton-Schulz keeps its own


def test_state_dict_round_trip_continues_bit_for_bit():
    data = batches(6)
    model = tiny()
    optimizer = muon(model)
    scheduler = lambda_lr(optimizer, Cosine(warmup_steps=2), 6)
    train(model, optimizer, data[:3], scheduler)
    file = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict(), scheduler.state_dict()], file)
    expected = train(model, optimizer, data[3:], scheduler)

    file.seek(0)
    weights, state, schedule = torch.load(file, weights_only=True)
    resumed = tiny(seed=5)
    resumed.load_state_dict(weights)
    again = muon(resumed, lr=1.0, muon_lr=1.0)  # the loaded groups bring their own
    later = lambda_lr(again, Cosine(warmup_steps=2), 6)
    again.load_state_dict(state)
    later.load_state_dict(schedule)
    assert train(resumed, again, data[3:], later) == expected
    assert same(resumed, model)
    assert [group["lr"] for group in again.param_groups] == [
        group["lr"] for group in optimizer.param_groups
    ]


@pytest.mark.parametrize("renewed", ["built", "loaded", "copied"])
def test_the_inner_optimizers_share_groups_and_state(renewed):
    model = tiny()
    optimizer = muon(model)
    train(model, optimizer, batches(1))
    if renewed == "loaded":
        optimizer.load_state_dict(optimizer.state_dict())
    if renewed == "copied":
        model, optimizer = copy.deepcopy((model, optimizer))
    inner = [group for part in optimizer._parts for group in part.param_groups]
    assert [id(group) for group in inner] == [id(group) for group in optimizer.param_groups]
    assert all(part.state is optimizer.state for part in optimizer._parts)
    assert set(optimizer.state) == set(model.parameters())
    assert set(optimizer.state[model[1].weight]) == {"momentum_buffer"}
    assert set(optimizer.state[model[0].weight]) == {"step", "exp_avg", "exp_avg_sq"}
    before = [p.detach().clone() for p in model.parameters()]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    train(model, optimizer, batches(1))
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))


def test_a_deep_copy_trains_alike_and_alone():
    model = tiny()
    optimizer = muon(model)
    train(model, optimizer, batches(2))
    twin, twin_optimizer = copy.deepcopy((model, optimizer))
    losses = train(model, optimizer, batches(3))
    assert train(twin, twin_optimizer, batches(3)) == losses
    assert same(twin, model)


def test_a_closure_runs_once_with_gradients_and_its_loss_comes_back():
    model = tiny()
    optimizer = muon(model)
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, batches(1)[0])
        loss.backward()
        calls.append(loss)
        return loss

    assert optimizer.step(closure) is calls[0]
    assert len(calls) == 1
    assert not same(model, tiny())
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_a_group_added_later_is_trained_by_adamw_with_the_same_options():
    model = tiny()
    optimizer = muon(model, lr=0.25)
    extra = nn.Parameter(torch.ones(3))
    optimizer.add_param_group({"params": [extra]})
    extra.grad = torch.ones(3)
    optimizer.step()
    assert torch.allclose(extra, torch.tensor(0.75 - 0.25 * 0.1), atol=1e-6)  # lr, and decay 0.1


def test_a_model_without_hidden_matrices_is_refused():
    with pytest.raises(ValueError, match="no hidden matrix in Head; take optimizer=adamw"):
        muon(Head(4, 4))


class Module(lightning.LightningModule):
    """Trains `tiny` with Muon under a cosine schedule."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.net = tiny(seed)

    def training_step(self, batch, batch_idx):
        # by the step, so that a resumed fit sees what an unbroken one sees
        return loss_of(self.net, batches(6)[self.global_step])

    def configure_optimizers(self):
        optimizer = muon(self.net)
        scheduler = lambda_lr(optimizer, Cosine(warmup_steps=1), 6)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


def fit(module, max_steps, ckpt_path=None):
    trainer = lightning.Trainer(
        max_steps=max_steps,
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=0.5,
    )
    trainer.fit(module, DataLoader(range(100)), ckpt_path=ckpt_path, weights_only=True)
    return trainer


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint")
def test_lightning_saves_and_resumes_it_bit_for_bit(tmp_path):
    whole = Module()
    fit(whole, 6)
    half = Module()
    trainer = fit(half, 3)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    assert not same(half, whole)
    resumed = Module(seed=3)
    trainer = fit(resumed, 6, tmp_path / "half.ckpt")
    assert trainer.global_step == 6
    assert same(resumed, whole)
