"""What layers with experts add to training: the objective, the counts, the bias of the choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.ffn.moe import MoE
from lightning_transformer.runs.result import read_history
from lightning_transformer.tasks.base import Batch
from tests.conftest import tiny
from tests.helpers.short_runs import At, difference, interrupt, short_run, weights
from tests.unit.tasks.drawn import drawn_batch, examples

EXACT = 1e-10


def same(value: Any) -> Any:
    """The sum over one process."""
    return value


def routed(model: Transformer, batch: Batch) -> torch.Tensor:
    """What the experts add to an objective of zero."""
    model.expert_load.listen()
    model.features(batch)
    return model.expert_load.join(torch.zeros((), dtype=torch.float64), batch)


def test_adds_the_mean_over_tokens_of_each_layer_for_every_target() -> None:
    model = tiny("ffn=moe", "ffn.aux_loss=0.3", "ffn.z_loss=0.2")
    batch = drawn_batch(model.task)
    layers = [module for module in model.modules() if isinstance(module, MoE)]
    assert len(layers) == 2
    model.expert_load.listen()
    model.features(batch)
    wanted = torch.zeros((), dtype=torch.float64)
    for layer in layers:
        (seen,) = layer.routings
        p = seen.logits.softmax(-1).flatten(0, 1)
        n = torch.bincount(seen.chosen.flatten(), minlength=8)
        balance = 8 * (n / n.sum() * p.mean(0)).sum()
        wanted += 0.3 * balance + 0.2 * seen.logits.logsumexp(-1).square().mean()
    added = model.expert_load.join(torch.tensor(7.0, dtype=torch.float64), batch)
    torch.testing.assert_close(added, 7 + batch.n_targets * wanted, rtol=0, atol=EXACT)
    assert [layer.routings for layer in layers] == [None, None]  # nothing is kept alive


def test_pads_count_nowhere() -> None:
    """Neither those that a mask hides, nor those that stand where nothing sees them."""
    model = tiny("ffn=moe", "model=encoder_decoder", "task.n_generated=0")
    rows = examples(model.task.example, 5)
    collate = model.task.collator("train")
    n = [0, 0]
    for row in rows:
        batch = collate([row], [0])
        routed(model, batch)
        n[0] += 2 * batch.source_ids.numel()  # top_k is 2
        n[1] += 2 * batch.input_ids.numel()
    alone, model.expert_load._since_log = model.expert_load._since_log, None
    batch = collate(rows, list(range(5)))
    assert (batch.input_ids == model.task.vocabulary.pad_id).any()
    routed(model, batch)
    together = model.expert_load._since_log
    assert torch.equal(together, alone)
    assert together[:, -1].tolist() == [n[0], n[0], n[1], n[1]]
    assert together[:, :-1].sum(dim=1).tolist() == [n[0], n[0], n[1], n[1]]


def test_more_pads_do_not_change_what_is_added() -> None:
    model = tiny("ffn=moe", "model=encoder_only")
    batch = model.task.collator("train")(examples(model.task.example, 3), [0, 1, 2])
    wider = torch.full((3, 1), model.task.vocabulary.pad_id)
    more = batch._replace(
        input_ids=torch.cat((batch.input_ids, wider), dim=1),
        padding=torch.cat((batch.padding, wider > 0), dim=1),
    )
    torch.testing.assert_close(routed(model, more), routed(model, batch), rtol=0, atol=EXACT)


def test_bias_moves_towards_experts_with_less_load() -> None:
    model = tiny("ffn=moe_sigmoid", "ffn.n_experts=4")
    load = model.expert_load
    counts = torch.tensor([[4, 0, 2, 2, 8], [5, 1, 1, 1, 8]])
    load._of_step = counts.clone()
    load.balance(lambda x: 3 * x)
    steps = [layer.bias_steps.tolist() for layer, _ in load.layers]
    assert steps == [[-1, 1, 0, 0], [-1, 1, 1, 1]]
    load.balance(same)  # nothing was counted since
    assert [layer.bias_steps.tolist() for layer, _ in load.layers] == steps


def test_statistics() -> None:
    model = tiny("ffn=moe", "ffn.n_experts=4")
    model.expert_load._since_log = torch.tensor([[4, 0, 2, 2, 8], [3, 1, 1, 1, 8]])
    assert model.expert_load.statistics(same) == {
        "moe/imbalance": pytest.approx((2 + 2) / 2),
        "moe/dropped": pytest.approx(2 / 16),
    }
    assert model.expert_load.statistics(same) == {}


def test_a_bias_evens_the_load(tmp_path: Path) -> None:
    run = tmp_path / "run"
    # The router stays as it is drawn, so that nothing else does it.
    options = ("ffn=moe_sigmoid", "ffn.bias_rate=0.001", "optimizer=sgd", "optimizer.lr=1e-9")
    short_run(run, *options, "trainer.max_steps=20", "trainer.val_every=20")
    series = read_history(run)
    imbalance = [value for _, value in series["moe/imbalance"]]
    assert len(imbalance) == 20
    assert sum(imbalance[-10:]) / 10 < 1.5 < 1.8 < sum(imbalance[:3]) / 3
    assert {value for _, value in series["moe/dropped"]} == {0.0}


def test_the_objective_is_not_what_is_reported(tmp_path: Path) -> None:
    """The first loss, and validation of the first weights, are those of a router left alone."""
    for name, z_loss in (("with", 10.0), ("without", 0.0)):
        options = ("ffn=moe", "optimizer=sgd", "optimizer.lr=1e-9", f"ffn.z_loss={z_loss}")
        short_run(tmp_path / name, *options)
    one, other = read_history(tmp_path / "with"), read_history(tmp_path / "without")
    for name in ("train/loss", "val/loss"):
        ours, theirs = ([value for _, value in series[name]] for series in (one, other))
        assert ours == pytest.approx(theirs, abs=1e-6)
    assert one["optim/grad_norm"][0][1] > 1.01 * other["optim/grad_norm"][0][1]


def test_micro_batches_and_bias_make_the_same_step(tmp_path: Path) -> None:
    """With z-loss, a mean over tokens; the balance of a micro-batch is its own by definition."""
    options = ("ffn=moe", "ffn.aux_loss=0.0", "ffn.z_loss=0.1", "ffn.bias_rate=0.01")
    options = (*options, "trainer.precision=64-true", "optimizer=adamw")
    for n in (1, 4):
        short_run(tmp_path / str(n), *options, f"trainer.accumulate={n}")
    assert difference(tmp_path / "1", tmp_path / "4") < 1e-8
    steps = [w for name, w in weights(tmp_path / "4").items() if name.endswith("bias_steps")]
    assert [bool(w.any()) for w in steps] == [True]


@pytest.mark.slow
def test_resumed_run_equals_one_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("ffn=moe_sigmoid", "ffn.aux_loss=0.01", "ffn.z_loss=0.001", "trainer.accumulate=2")
    short_run(tmp_path / "whole", *options)
    with monkeypatch.context() as patch:
        At(patch, 7, interrupt)
        assert short_run(tmp_path / "run", *options).steps == 4
    short_run(tmp_path / "run", *options, resume=True)
    assert difference(tmp_path / "whole", tmp_path / "run") == 0
    one, other = (read_history(tmp_path / name)["moe/imbalance"] for name in ("whole", "run"))
    assert one == other
    (steps,) = (w for name, w in weights(tmp_path / "run").items() if name.endswith("bias_steps"))
    assert steps.any()


@pytest.mark.slow
def test_computing_blocks_again_changes_nothing(tmp_path: Path) -> None:
    for again in (False, True):
        options = ("ffn=moe_sigmoid", "ffn.aux_loss=0.1", "ffn.z_loss=0.1")
        short_run(tmp_path / str(again), *options, f"trainer.activation_checkpointing={again}")
    assert difference(tmp_path / "True", tmp_path / "False") < 1e-6
    one, other = (read_history(tmp_path / str(again)) for again in (False, True))
    assert one["moe/imbalance"] == other["moe/imbalance"]
