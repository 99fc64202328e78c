"""As test_parity.py, of parts whose weights are shared, or numbers rather than matrices."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.parallel_cases import on_processes, run_exactly
from tests.contracts.test_parity import FLOAT64, assert_same, on_two
from tests.helpers.short_runs import short, short_pairs

STRATEGIES = {
    "tokens": "fsdp2",
    "pairs": "fsdp2",
    "heads": "tp",
    "looped": "fsdp2",
    "streams": "fsdp2",
    "macaron": "tp",
    "experts": "ddp",
    "expert-shards": "fsdp2",
    "adan": "fsdp2",
    "mars": "fsdp2",
    "mars-heads": "tp",
    "soap": "ddp",
    "sphere": "fsdp2",
    "sphere-copies": "ddp",
    "sphere-heads": "tp",
    "depth": "fsdp2",
    "depth-heads": "tp",
}


@pytest.mark.slow
def test_one_result_on_two_processes(tmp_path: Path) -> None:
    factorised = ("embedding=factorised", "embedding.rank=8")
    typed = {
        # A head that goes back through both factors, several times a step; learned numbers.
        "tokens": short(
            tmp_path,
            *FLOAT64,
            *factorised,
            "task=multi_token",
            "task.n_future=3",
            "task.bias=true",
            "task.softcap=2.0",
            "activation=xielu",
            "norm=derf",
            "data.eval_batch_size=7",
        ),
        # Two tables, each with a norm behind it.
        "pairs": short_pairs(
            tmp_path,
            *FLOAT64,
            "model.share_embeddings=false",
            "embedding=normed",
            "norm=scalenorm",
            "qk_norm=l2norm",
            "data.eval_batch_size=3",
        ),
        "heads": short(tmp_path, *FLOAT64, *factorised, "qk_norm=layernorm", "norm=scalenorm"),
        # Blocks that are gathered and give up their gradients several times a step, and that the
        # backward pass computes again; streams with numbers of their own.
        "looped": short(
            tmp_path,
            *FLOAT64,
            "layer_sharing=looped",
            "model.n_layers=2",
            "residual=hyper_connections",
            "trainer.activation_checkpointing=true",
        ),
        "streams": short(
            tmp_path,
            *FLOAT64,
            "layer_sharing=sequence",
            "model.n_layers=3",
            "residual=residual_dual",
        ),
        # Both feed-forward layers of a block by their columns, and shared besides.
        "macaron": short(
            tmp_path,
            *FLOAT64,
            "block=macaron",
            "layer_sharing=cycle",
            "model.n_layers=2",
            "residual=normformer",
        ),
    }
    # The bias that evens the load follows all ranks; a micro-batch's losses would be of one rank.
    typed["experts"] = short(tmp_path, *FLOAT64, "ffn=moe_sigmoid", "data.eval_batch_size=7")
    typed["expert-shards"] = typed["experts"]
    typed["adan"] = short(tmp_path, *FLOAT64, "optimizer=adan")
    # Corrections so large that the norm of each tensor, of which a process has a part, is above 1.
    typed["mars"] = short(tmp_path, *FLOAT64, "optimizer=mars", "optimizer.gamma=100")
    typed["mars-heads"] = typed["mars"]
    # Without bases, whose eigenvectors magnify rounding.
    typed["soap"] = short(tmp_path, *FLOAT64, "optimizer=soap", "optimizer.max_size=1")
    # Weights that are brought back to length 1 after each step, wherever their parts lie.
    typed["sphere"] = short(tmp_path, *FLOAT64, "preset=ngpt", "model.n_layers=2")
    typed["sphere-copies"] = typed["sphere"]
    typed["sphere-heads"] = [*typed["sphere"], "ffn=dense"]
    # A stream that grows, with a read of its own at the end; convolutions beside attention.
    typed["depth"] = short(tmp_path, *FLOAT64, "residual=depth_attention", "block=canon")
    typed["depth-heads"] = typed["depth"]
    for name, words in typed.items():
        run_exactly(tmp_path / name, words)
    together = tmp_path / "two"
    together.mkdir()
    on_processes(together, {name: on_two(typed[name], s) for name, s in STRATEGIES.items()})
    for name in typed:
        assert_same(together / name, tmp_path / name)
