"""Invariants 19, 22 to 25, 39, 40, 41: whole runs, through Lightning."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.models.base import Transformer
from tests.conftest import tiny
from tests.contracts.invariants.setting import gradients, mean_loss, on_rank
from tests.helpers.short_runs import (
    DROPOUT,
    At,
    crash,
    difference,
    history,
    short_pairs,
    short_run,
    start,
)
from tests.unit.models.test_training import optimizer_steps
from tests.unit.tasks.drawn import drawn_batch

EXACTLY = "trainer.precision=64-true"


def column(folder: Path, name: str) -> list[float]:
    """What was logged under a name, step by step."""
    return [float(row[name]) for row in history(folder) if row.get(name)]


def watch(monkeypatch: pytest.MonkeyPatch, name: str, note: Any) -> None:
    """Call note(model, argument) each time before a method of the model."""
    method = getattr(Transformer, name)

    def watched(model: Any, *given: Any, **named: Any) -> Any:
        note(model, *given)
        return method(model, *given, **named)

    monkeypatch.setattr(Transformer, name, watched)


def test_invariant_19_validation_leaves_training_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mode, gradients, random numbers: with samples and dropout, the same weights without it."""
    modes: dict[str, set[tuple[bool, bool]]] = {}

    def note(name: str) -> Any:
        def noted(model: Any, *given: Any) -> None:
            parts = (model.embedding, *model.decoder.modules(), *model.task.modules())
            assert {part.training for part in parts} == {model.training}
            modes.setdefault(name, set()).add((model.training, torch.is_grad_enabled()))

        return noted

    for name in ("training_step", "validation_step", "test_step"):
        watch(monkeypatch, name, note(name))
    often = (*DROPOUT, "callbacks=default", "trainer.val_every=1")
    short_run(tmp_path / "often", *often)
    short_run(tmp_path / "once", *DROPOUT, "trainer.val_every=6")
    assert modes["training_step"] == {(True, True)}
    assert modes["validation_step"] == modes["test_step"] == {(False, False)}
    assert difference(tmp_path / "often", tmp_path / "once") == 0.0


def cosine(step: int, warmup: int, total: int, least: float) -> float:
    """Linear up, half a cosine down to the end of the run; steps from 0."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / (total - warmup)
    return least + (1 - least) * (1 + math.cos(math.pi * done)) / 2


@pytest.mark.parametrize("accumulate", [1, 4])
def test_invariant_22_learning_rate_of_each_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    """Also of a run that broke down in the middle and went on."""
    chosen = (
        "optimizer=adamw",
        "optimizer.lr=0.002",
        "schedule=cosine",
        "schedule.warmup_steps=2",
        "schedule.min_ratio=0.1",
        "trainer.max_steps=9",
        f"trainer.accumulate={accumulate}",
    )
    used: list[float] = []
    step = torch.optim.AdamW.step

    def stepped(self: Any, *given: Any, **named: Any) -> Any:
        result = step(self, *given, **named)  # the closure, with forward and backward, is inside
        used.append(self.param_groups[0]["lr"])
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", stepped)
    with monkeypatch.context() as patch:
        At(patch, 4 * accumulate + 1, crash)  # a step after the checkpoint of the third
        with pytest.raises(RuntimeError, match="broke"):
            short_run(tmp_path / "run", *chosen)
    before = list(used)
    used.clear()
    short_run(tmp_path / "run", *chosen, resume=True)
    wanted = [0.002 * cosine(k, 2, 9, 0.1) for k in range(9)]
    assert before == pytest.approx(wanted[:4], rel=1e-12)
    assert used == pytest.approx(wanted[3:], rel=1e-12)
    assert used[-1] > 0.0002  # min_ratio of it is reached after the last step
    assert column(tmp_path / "run", "optim/lr") == pytest.approx(wanted, rel=1e-12)


def test_invariant_23_max_steps_counts_optimizer_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five steps of four micro-batches over data whose epochs end inside a step."""
    seen: list[Tensor] = []
    updates: list[int] = []
    watch(monkeypatch, "training_step", lambda m, batch, i: seen.append(batch.input_ids))
    watch(
        monkeypatch,
        "configure_gradient_clipping",
        lambda m, *given: updates.append(len(seen)),
    )
    (tmp_path / "text.txt").write_text("".join(chr(33 + i % 90) for i in range(240)))
    sizes = ("data.val_fraction=0.2", "data.test_fraction=0.2", "data.batch_size=8")
    overrides = (
        *sizes,
        "trainer.max_steps=5",
        "trainer.accumulate=4",
        "trainer.val_every=2",
    )
    result = short_run(tmp_path / "run", *overrides)
    assert result.steps == 5
    assert updates == [4, 8, 12, 16, 20]
    assert len(seen) == 20
    n_rows = 144 // 16  # of 144 characters and an end-of-text, all but the first are targets
    first = [tuple(row.tolist()) for rows in seen for row in rows]
    assert len(first) == 40
    assert len(set(first[:n_rows])) == n_rows == 9, "an epoch is cut off or comes twice"


def test_invariant_24_clipping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The norm that is logged is that before clipping; what the optimizer gets is clipped."""
    given: list[float] = []

    def note(model: Any, optimizer: Any, *rest: Any) -> None:
        grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        given.append(float(torch.cat(grads).norm()))

    watch(monkeypatch, "configure_gradient_clipping", note)
    taken: list[float] = []
    step = torch.optim.SGD.step

    def stepped(self: Any, closure: Any = None) -> Any:
        before = [p.detach().clone() for g in self.param_groups for p in g["params"]]
        loss = step(self, closure)
        after = [p.detach() for g in self.param_groups for p in g["params"]]
        moved = torch.cat([(a - b).flatten() for a, b in zip(after, before, strict=True)])
        taken.append(float(moved.norm()) / self.param_groups[0]["lr"])
        return loss

    monkeypatch.setattr(torch.optim.SGD, "step", stepped)
    plain = (
        "optimizer=sgd",
        "optimizer.lr=0.1",
        "optimizer.momentum=0",
        "schedule=constant",
    )
    typed = (*plain, "schedule.warmup_steps=0", EXACTLY, "trainer.accumulate=2")
    short_run(tmp_path / "run", *typed, "optimizer.weight_decay=0", "trainer.clip=0.25")
    assert len(given) == len(taken) == 6
    assert min(given) > 0.5
    assert column(tmp_path / "run", "optim/grad_norm") == pytest.approx(given, rel=1e-9)
    assert taken == pytest.approx([0.25] * 6, rel=1e-5)


def test_invariant_24_half_precision_is_unscaled_before_it_is_clipped() -> None:
    """Under a loss scale of 65536 the norm is still that of the gradient."""
    model = on_rank(tiny("optimizer=adamw", dtype=torch.float32))
    batch = drawn_batch(model.task)
    mean_loss(model, batch).backward()
    wanted = torch.cat([gradient.flatten() for gradient in gradients(model)]).norm()
    model.zero_grad()
    scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
    model.trainer.precision_plugin = SimpleNamespace(scaler=scaler)
    optimizer = model.make_optimizer(model)
    scaler.scale(mean_loss(model, batch)).backward()
    model.on_before_optimizer_step(optimizer)
    model.configure_gradient_clipping(optimizer, 0.5)
    torch.testing.assert_close(model.grad_norm, wanted)
    clipped = torch.cat([gradient.flatten() for gradient in gradients(model)]).norm()
    assert float(clipped) == pytest.approx(0.5, rel=1e-5)


def test_invariant_25_validation_on_a_short_last_batch(tmp_path: Path) -> None:
    """Pairs of unequal length, seven to a batch with a rest of few, or all at once."""
    found = []
    for size in (7, 1000):
        typed = short_pairs(tmp_path, EXACTLY, f"data.eval_batch_size={size}")
        found.append(start(tmp_path / str(size), typed).metrics)
    for name in ("val/loss", "test/loss"):  # logged in float32
        assert found[0][name] == pytest.approx(found[1][name], rel=3e-7)


def test_invariant_39_bfloat16_keeps_norms_softmax_and_loss_in_float32(
    tmp_path: Path,
) -> None:
    """The loss after a hundred steps is that of float32 within 0.02."""
    last = []
    for precision in ("32-true", "bf16-mixed"):
        overrides = (
            "trainer.max_steps=100",
            "trainer.val_every=100",
            "trainer.log_every=50",
        )
        run = short_run(tmp_path / precision, *overrides, f"trainer.precision={precision}")
        last.append(float(run.metrics["val/loss"] or 0))
    assert last[1] == pytest.approx(last[0], abs=2e-2)
    model = tiny("norm=layernorm", "kernel=eager", dtype=torch.float32)
    seen: dict[str, set[torch.dtype]] = {"loss": set(), "softmax": set()}

    def note(kind: str) -> Any:
        return lambda module, given, out: seen[kind].add(out[0].dtype)

    model.task.loss.register_forward_hook(note("loss"))
    softmax = Tensor.softmax
    with (
        pytest.MonkeyPatch.context() as patch,
        torch.autocast("cpu", dtype=torch.bfloat16),
    ):
        patch.setattr(
            Tensor,
            "softmax",
            lambda x, dim: (seen["softmax"].add(x.dtype), softmax(x, dim))[1],
        )
        batch = drawn_batch(model.task)
        model.task(model.features(batch), batch)
    assert seen == {"loss": {torch.float32}, "softmax": {torch.float32}}
    # Outside autocast, as with bf16-true, nobody but the loss itself sees to it.
    assert model.task.loss(torch.ones(2, 3).bfloat16(), torch.tensor([0, 1])).nll.dtype == (
        torch.float32
    )
    for name in ("rmsnorm", "layernorm"):
        norm: nn.Module = tiny(f"norm={name}").decoder.final_norm.bfloat16()
        x = (100 + torch.randn(4, 32, generator=torch.Generator().manual_seed(0))).bfloat16()
        exact = norm.double()(x.double())
        assert (norm.bfloat16()(x).double() - exact).abs().max() < 2e-2


@pytest.mark.slow
def test_invariant_40_compiled_and_not(tmp_path: Path) -> None:
    """Twenty steps of equal loss, dropout included, and no compilation after the second."""
    torch.compiler.reset()
    chosen = ("optimizer=adamw", "model.n_layers=1", "residual.dropout=0.2")
    plain: Any = tiny(*chosen, dtype=torch.float32).train()
    compiled: Any = tiny(*chosen, dtype=torch.float32).train()
    compiled.decoder.compile_blocks()
    batches = [drawn_batch(plain.task, seed=seed) for seed in range(20)]

    def losses(model: Any, first: int, end: int) -> list[float]:
        torch.manual_seed(first)
        return optimizer_steps(model, batches[first:end], 20)

    assert losses(compiled, 0, 2) == pytest.approx(losses(plain, 0, 2), abs=1e-5)
    with torch.compiler.set_stance("fail_on_recompile"):
        rest = losses(compiled, 2, 20)
    assert rest == pytest.approx(losses(plain, 2, 20), abs=1e-5)


def test_invariant_41_recomputed_blocks_have_the_same_gradients() -> None:
    """With dropout on: the second forward pass draws what the first drew."""
    found = []
    for recompute in (False, True):
        model: Any = tiny("model.dropout=0.2", "residual.dropout=0.2", "attention.dropout=0.2")
        if recompute:
            model.decoder.checkpoint_blocks()
        torch.manual_seed(5)
        mean_loss(model.train(), drawn_batch(model.task)).backward()
        found.append(gradients(model))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
