"""What certainly does not fit into memory is refused before anything is allocated."""

from __future__ import annotations

import re

import pytest
import torch

from lightning_transformer.build import build
from lightning_transformer.data.examples import Tokens
from lightning_transformer.training.preflight import memory
from lightning_transformer.training.preflight.memory import check_activations, check_memory
from tests.conftest import compose_config, tiny
from tests.helpers.short_runs import crash, refused, short

# Two layers of width 32, rows of 16 tokens, 4 bytes: 4096 bytes per row.
TYPED = ("model.d_model=32", "data.seq_len=16", "trainer=cpu", "model.n_layers=2")
ROW = 16 * 2 * 32 * 4


def check(room: int, monkeypatch, *typed: str, vocab_size: int = 0) -> None:
    """Hold the batch against a machine that has so many bytes besides the weights."""
    cfg = compose_config(*TYPED, *typed)
    model = tiny(*TYPED, *typed)
    weights = 12 * sum(p.numel() for p in model.parameters())
    monkeypatch.setattr(memory, "memory", lambda accelerator: weights + room)
    check_activations(cfg, model, build(cfg, "data"), vocab_size)


@pytest.mark.parametrize(
    ("typed", "needed"),
    [
        (["data.batch_size=8"], 8 * ROW),
        (["data.batch_size=8", "trainer.accumulate=4"], 2 * ROW),
        (["data.batch_size=8", "trainer=ddp", "trainer.devices=2"], 4 * ROW),
        (["data.batch_size=8", "trainer.precision=bf16-mixed"], 4 * ROW),
        (["data.batch_size=8", "trainer.accumulate=0"], 8 * ROW),  # refused elsewhere
        (["data.batch_size=8", "model=encoder_only", "task=masked_lm"], 8 * ROW),
    ],
)
def test_the_least_that_is_kept(monkeypatch, typed, needed):
    check(needed, monkeypatch, *typed)
    with pytest.raises(ValueError, match=r"^data\.batch_size=8 keeps at least"):
        check(needed - 1, monkeypatch, *typed)


def test_scores_count_once_the_vocabulary_is_known(monkeypatch):
    typed = ("data.batch_size=8", "trainer.accelerator=gpu", "trainer.precision=32-true")
    check(8 * (ROW + 16 * 1000 * 4), monkeypatch, *typed, vocab_size=1000)
    with pytest.raises(ValueError, match="keeps at least"):
        check(8 * (ROW + 16 * 1000 * 4) - 1, monkeypatch, *typed, vocab_size=1000)


def test_scores_do_not_count_where_they_are_made_in_parts(monkeypatch):
    check(8 * ROW, monkeypatch, "data.batch_size=8", vocab_size=10**6)


def test_layers_that_are_cut_read_the_same_rows(monkeypatch):
    cfg = compose_config(*TYPED, "data.batch_size=8", "trainer=tp", "trainer.devices=2")
    model = tiny(*TYPED)
    weights = 12 * sum(p.numel() for p in model.parameters()) // 2
    monkeypatch.setattr(memory, "memory", lambda accelerator: weights + 4 * 8 * ROW // 4)
    cfg.trainer.precision = "32-true"
    check_activations(cfg, model, build(cfg, "data"))
    cfg.data.batch_size = 16
    with pytest.raises(ValueError, match=r"=16 keeps at least .*trainer\.accumulate=2, same"):
        check_activations(cfg, model, build(cfg, "data"))


@pytest.mark.parametrize(
    ("batch_size", "rows", "way"),
    [
        (12, 5, "use trainer.accumulate=3, same result"),
        (12, 11, "use trainer.accumulate=2, same result"),
        (7, 2, "use trainer.accumulate=7, same result"),
        (12, 0, "not even one row fits; use a smaller data.seq_len"),
        (10**12 + 39, 10**7, "use at most data.batch_size=10000000"),  # a prime number
    ],
)
def test_the_way_out_fits(monkeypatch, batch_size, rows, way):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check(rows * ROW, monkeypatch, f"data.batch_size={batch_size}")
    assert str(caught.value).endswith(f"; {way}")
    assert "\n" not in str(caught.value)
    offered = re.fullmatch(r"use (trainer\.accumulate=\d+)(?:, same result)", way)
    if offered:
        check(rows * ROW, monkeypatch, f"data.batch_size={batch_size}", offered[1])


def test_weights_alone_are_held_against_one_device(monkeypatch):
    monkeypatch.setattr(memory, "memory", lambda accelerator: 12_000)
    monkeypatch.setattr(memory, "n_copied", lambda model: 0)
    shards = ("trainer.devices=2", "trainer.accelerator=cpu")
    check_memory(compose_config(), weights(1000))
    check_memory(compose_config("trainer=fsdp2", *shards), weights(2000))
    check_memory(compose_config(), weights(500, frozen=1500))
    with pytest.raises(ValueError, match="makes a model that needs"):
        check_memory(compose_config(), weights(500, frozen=1501))
    for typed, n in (((), 1001), (("trainer=ddp", *shards), 1001), (("trainer=tp", *shards), 2001)):
        with pytest.raises(ValueError, match="makes a model that needs"):
            check_memory(compose_config(*typed), weights(n))


def weights(n: int, *, frozen: int = 0) -> torch.nn.Module:
    """A module of so many trained and frozen weights."""
    kinds = [torch.nn.Parameter(torch.empty(n)), torch.nn.Parameter(torch.empty(frozen), False)]
    return torch.nn.ParameterList(kinds)


def test_a_frozen_copy_is_counted(monkeypatch):
    """Four bytes per weight beside the twelve of training, whole on each device."""
    monkeypatch.setattr(memory, "memory", lambda accelerator: 16 * 1000)
    monkeypatch.setattr(memory, "n_copied", lambda model: 1000)
    check_memory(compose_config(), weights(1000))
    monkeypatch.setattr(memory, "n_copied", lambda model: 1001)
    with pytest.raises(ValueError, match="makes a model that needs"):
        check_memory(compose_config(), weights(1000))


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("norm", ["rmsnorm", "none"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_real_step_keeps_more(norm, precision, again):
    """Counted by torch's own hooks on what autograd saves; the least case is blocks done again."""
    cfg = compose_config(*TYPED, f"norm={norm}", f"trainer.precision={precision}")
    model = tiny(*TYPED, f"norm={norm}", dtype=torch.float32).train()
    if again:
        model.decoder.checkpoint_blocks()
    rows = [Tokens(torch.arange(i, i + 17).numpy()) for i in range(8)]
    batch = model.task.collator("train")(rows, list(range(8)))
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    saved = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with saved, torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
        model.task(model.features(batch), batch)
    sizes = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in kept}
    for weight in model.parameters():
        sizes.pop(weight.untyped_storage().data_ptr(), None)
    cfg.trainer.accelerator = "gpu"  # where all scores count; these rows are too few to be parted
    least = 8 * memory._bytes_per_row(cfg, model, build(cfg, "data"), model.task.vocabulary.size)
    assert least < sum(sizes.values()) < 20 * least


def test_a_million_rows_are_refused_before_data(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lightning_transformer.data.sources.text.Text.prepare", crash)
    monkeypatch.setattr(memory, "memory", lambda accelerator: 10**9)
    typed = [*short(tmp_path), f"hydra.run.dir={tmp_path / 'run'}", "data.batch_size=1000000"]
    said = refused(monkeypatch, capsys, *typed)
    assert said == (
        "data.batch_size=1000000 keeps at least 2 GB for the backward pass with "
        "trainer.accumulate=1, of 1 GB of memory; use trainer.accumulate=4, same result"
    )
