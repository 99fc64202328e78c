"""What cannot be cut over processes is refused before data is read. See also test_parity.py."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lightning_transformer.distributed.parallelize import check_parallel
from lightning_transformer.distributed.ranks import data_ranks
from tests.conftest import tiny
from tests.helpers.short_runs import crash, refused, short


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_degrees_that_divide_are_taken(degree: int) -> None:
    check_parallel(tiny(), degree)


@pytest.mark.parametrize(
    ("overrides", "degree", "line"),
    [
        ((), 3, "does not divide attention.n_heads=4; possible here: 1, 2, 4"),
        (
            ("attention=gqa", "attention.n_kv_heads=2"),
            4,
            "does not divide attention.n_kv_heads=2; possible here: 1, 2",
        ),
        (("attention=mqa",), 2, "does not divide attention.n_kv_heads=1; possible here: 1"),
    ],
)
def test_bad_input_42_lists_the_degrees(overrides: tuple[str, ...], degree: int, line: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_parallel(tiny(*overrides), degree)
    assert str(caught.value) == f"trainer.strategy.tensor_parallel_size={degree} {line}"


def test_unknown_layers_are_not_cut() -> None:
    class Other(nn.Module):
        pass

    model = tiny()
    model.decoder.blocks[1].ffn = Other()
    with pytest.raises(ValueError, match=r"cannot cut Other \(ffn\); use trainer=fsdp2"):
        check_parallel(model, 2)
    check_parallel(model, 1)


def test_a_norm_over_all_heads_is_refused() -> None:
    model = tiny("qk_norm=rmsnorm", "attention.qk_norm_per_head=false")
    with pytest.raises(ValueError, match="qk_norm_per_head=false norms; use true, or trainer=f"):
        check_parallel(model, 2)
    check_parallel(model, 1)


def test_a_norm_with_a_module_in_it_is_refused() -> None:
    """torch would fail on the name of its parameter."""
    model = tiny()
    model.decoder.blocks[1].attention.k_norm = nn.Sequential(nn.RMSNorm(8))
    with pytest.raises(ValueError, match=r"cannot replicate 0\.weight of qk_norm=Sequential, "):
        check_parallel(model, 2)
    check_parallel(model, 1)


def test_parameters_without_dimension_are_refused() -> None:
    model = tiny()
    model.gain = nn.Parameter(torch.tensor(1.0))
    with pytest.raises(ValueError, match="such as gain; give it the shape"):
        check_parallel(model, 1)


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (
            ["trainer=tp", "trainer.devices=3"],
            "trainer.strategy.tensor_parallel_size=3 does not divide attention.n_heads=4",
        ),
        (
            [
                "trainer=fsdp2_tp",
                "trainer.devices=4",
                "trainer.strategy.data_parallel_size=3",
                "trainer.strategy.tensor_parallel_size=2",
            ],
            "data_parallel_size=3 x tensor_parallel_size=2 is 6, not the 4 processes of "
            "trainer.devices x num_nodes; possible here: 4 x 1, 2 x 2, 1 x 4",
        ),
        (
            ["trainer=tp", "trainer.devices=2", "attention=mqa"],
            "trainer.strategy.tensor_parallel_size=2 does not divide attention.n_kv_heads=1; "
            "possible here: 1",
        ),
        (
            ["trainer=fsdp2", "trainer.devices=2", "trainer.strategy.data_parallel_size=0"],
            "trainer.strategy.data_parallel_size=0 must be at least 1",
        ),
    ],
)
def test_one_line_before_any_data(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: list[str],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lightning_transformer.data.sources.text.Text.prepare", crash)
    kept = [o for o in short(tmp_path) if o != "trainer=cpu"]
    assert line in refused(monkeypatch, capsys, *kept, *typed, "trainer.accelerator=cpu")


def test_one_process_reads_everything() -> None:
    assert data_ranks(SimpleNamespace(world_size=1)) == (0, 1)
    two = SimpleNamespace(world_size=2, global_rank=1, strategy=None)
    assert data_ranks(two) == (1, 2)


def test_dropout_differs_between_ranks_that_read_other_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def drawn(rank: int) -> float:
        model = tiny()
        model.__class__ = type("InTraining", (type(model),), {"trainer": None, "global_step": 0})
        model.__class__.trainer = SimpleNamespace(
            accumulate_grad_batches=1, world_size=2, global_rank=rank, strategy=None
        )
        model.on_train_batch_start(None, 0)
        return float(torch.rand(()))

    assert drawn(0) == drawn(0) != drawn(1)
