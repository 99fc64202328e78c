from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_transformer.build import load_run
from lightning_transformer.config.compose import (
    parse,
    preflight,
    register,
)
from lightning_transformer.config.job_names import differing_overrides, shared_by_jobs
from lightning_transformer.errors import ConfigError
from lightning_transformer.nn.attention.hybrid import Hybrid
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.layer_info import LayerInfo
from lightning_transformer.nn.recurrent.gated_deltanet import GatedDeltaNet
from lightning_transformer.nn.recurrent.linear import LinearAttention
from lightning_transformer.nn.recurrent.mamba2 import Mamba2
from lightning_transformer.runs.naming import job_name
from lightning_transformer.runs.result import read
from tests.conftest import TINY, build_tiny, compose_config, tiny
from tests.helpers.short_runs import At, interrupt, refused, short, type_in

CHOSEN = ("attention=hybrid", "attention@attention.first=mamba2", "attention.first.d_state=8")


def kinds(*overrides: str) -> list[str]:
    """The classes of the layers of a decoder."""
    model: Any = tiny("attention=hybrid", *overrides, dtype=torch.float32)
    return [type(block.attention).__name__ for block in model.decoder.blocks]


def test_layers_take_turns() -> None:
    delta, full = "GatedDeltaNet", "MultiHeadAttention"
    assert kinds("model.n_layers=9") == [*[delta] * 3, full] * 2 + [delta]
    parts = ["attention@attention.first=mha", "attention@attention.then=gated_deltanet"]
    assert kinds("model.n_layers=3", "attention.n_first=1", *parts) == [full, delta, full]


@pytest.mark.parametrize("option", ["mha", "gqa", "mamba2", "gated_deltanet", "linear"])
def test_of_equal_parts_it_is_the_plain_model(option: str) -> None:
    """Same names of weights, same numbers, to the bit."""
    position = "rope" if option in ("mha", "gqa") else "learned"
    plain = tiny(f"attention={option}", f"position={position}")
    parts = [f"attention@attention.{part}={option}" for part in ("first", "then")]
    hybrid = tiny("attention=hybrid", "attention.n_first=1", *parts, f"position={position}")
    one, other = plain.state_dict(), hybrid.state_dict()
    assert list(one) == list(other)
    assert all(torch.equal(one[name], other[name]) for name in one)
    ids = torch.arange(24).view(2, 12)
    x = plain.embedding(ids)
    plain_stack: Any = plain.decoder
    hybrid_stack: Any = hybrid.decoder
    assert torch.equal(plain_stack(x), hybrid_stack(x))


def test_seeds_pair_with_the_plain_model() -> None:
    """A layer has the weights that it has in the plain model of its kind, at the same place."""
    overrides = ("attention.n_first=1", "attention.first.n_heads=4")
    hybrid = tiny("attention=hybrid", *overrides, "position=none").state_dict()
    delta = tiny("attention=gated_deltanet", "position=none").state_dict()
    full = tiny("attention=mha", "position=none").state_dict()
    for name, weight in hybrid.items():
        plain = full if "blocks.1." in name else delta
        assert torch.equal(weight, plain[name]), name


def test_parts_have_options_of_their_own() -> None:
    then = (
        "attention@attention.then=gqa",
        "attention.then.n_heads=8",
        "attention.then.n_kv_heads=2",
    )
    model: Any = tiny(*CHOSEN, *then, "attention.n_first=1", dtype=torch.float32)
    first, second = (block.attention for block in model.decoder.blocks)
    assert (type(first), first.d_state, first.n_heads) == (Mamba2, 8, 4)
    assert (type(second), second.n_heads, second.n_kv_heads) == (MultiHeadAttention, 8, 2)


def test_position_and_pattern_act_on_the_layers_with_scores() -> None:
    """A window changes a hybrid, though its first layer has nothing to which it could apply."""
    wide = tiny("attention=hybrid", "attention.n_first=1")
    narrow = tiny(
        "attention=hybrid", "attention.n_first=1", "pattern=sliding_window", "pattern.window=2"
    )
    x = wide.embedding(torch.arange(12)[None])
    one: Any = wide.decoder
    other: Any = narrow.decoder
    assert torch.equal(one.blocks[0].attention.q.weight, other.blocks[0].attention.q.weight)
    assert not torch.equal(one(x), other(x))


def test_what_cannot_work_is_refused() -> None:
    linear, full = partial(LinearAttention), partial(GatedDeltaNet)
    with pytest.raises(ValueError, match="n_first=0 must be at least 1"):
        Hybrid(8, first=linear, then=full, n_first=0)
    nested = Hybrid(8, first=partial(Hybrid, first=linear, then=full), then=linear)
    with pytest.raises(ValueError, match="hybrid has no hybrid as a part"):
        nested.configure_layer(LayerInfo())
    with pytest.raises(ValueError, match="attention=hybrid differs between layers"):
        Hybrid(8, first=linear, then=full).configure_layer(LayerInfo(n_runs=2))
    cfg = compose_config(*TINY, "attention=hybrid", "model=encoder_only")
    with pytest.raises(ConfigError, match=r"^attention=gated_deltanet sees only the past") as said:
        build_tiny(cfg)
    assert "\n" not in str(said.value)


def test_an_encoder_and_a_decoder_of_parts_that_can() -> None:
    parts = ["attention@attention.first=linear", "attention.n_first=1"]
    model: Any = tiny("model=encoder_decoder", "attention=hybrid", *parts)
    for stack in (model.encoder, model.decoder):
        found = [type(block.attention) for block in stack.blocks]
        assert found == [LinearAttention, MultiHeadAttention]
    assert type(model.decoder.blocks[0].cross) is LinearAttention
    assert not model.encoder.blocks[0].attention.causal
    assert model.decoder.blocks[0].attention.causal
    assert not model.decoder.blocks[0].cross.causal


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "attention=hybrid attention@attention.first=mamba3",
            "unknown option attention=mamba3; did you mean mamba2?",
        ),
        (
            "attention=hybrid attention@attention.frist=mamba2",
            "Could not override 'attention@attention.frist'. Did you mean to override one of "
            "attention, attention@attention.first, ",
        ),
        (
            "attention@attention.first=mamba2",
            "attention@attention.first has no effect here: ",
        ),
        (
            "attention=hybrid attention.first=mamba2",
            "attention.first=mamba2 names no layer: write attention@attention.first=mamba2",
        ),
        (
            "attention=hybrid attention.first.n_head=2",
            "unknown key attention.first.n_head; did you mean attention.first.n_heads?",
        ),
        (
            "attention=hybrid attention.n_heads=2",
            "unknown key attention.n_heads; did you mean attention.first.n_heads or "
            "attention.then.n_heads?",
        ),
        (
            "attention=hybrid attention@attention.then=linear kernel=eager position=none",
            "kernel=eager has no effect here: ",
        ),
        ("attention=mamba2", "position=RoPE acts on attention scores, and Mamba2 has none"),
    ],
)
def test_what_is_typed_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(monkeypatch, capsys, *short(tmp_path), *typed.split()).startswith(said)


@pytest.mark.slow
def test_a_run_is_resumed_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its choices are recorded, resuming composes them anew, its folder names no foreign code."""
    folder = tmp_path / "run"
    typed = short(tmp_path, *CHOSEN, "attention.n_first=1", "model.n_layers=2")
    with monkeypatch.context() as patch:
        At(patch, 3, interrupt)
        assert type_in(patch, *typed, f"hydra.run.dir={folder}") == 130
    assert type_in(monkeypatch, f"resume={folder}", "trainer.max_steps=4") == 0
    result = read(folder)
    assert result.steps == 4
    assert result.choices["attention"] == "hybrid"
    assert result.choices["attention@attention.first"] == "mamba2"
    model: Any = load_run(folder)
    assert [type(block.attention) for block in model.decoder.blocks] == [Mamba2, MultiHeadAttention]


def test_jobs_of_a_sweep_are_named_by_the_part() -> None:
    register()
    swept = "attention@attention.first=linear,mamba2"
    typed = ["attention=hybrid", "position=none", "seed=3"]
    assert preflight([*typed, swept]) == 2
    shared = shared_by_jobs(parse([*typed, swept]))
    assert shared.endswith(".exclude_keys=['attention','position','seed']")
    keys = ["attention", "position", "seed"]
    job = differing_overrides([*typed, "attention@attention.first=mamba2"], keys)
    assert job == ["attention@attention.first=mamba2"]
    assert job_name(job).startswith("attention-attention.first=mamba2-")


@pytest.mark.parametrize("position", ["rope", "alibi"])
def test_parts_with_scores_share_their_heads_with_the_position(position: str) -> None:
    """One position serves all layers; where heads differ only a position without scores can."""
    parts = ("attention@attention.first=mha", "attention.first.n_heads=8", "attention.n_first=1")
    with pytest.raises(ConfigError, match=r"^position=\w+ needs one n_heads and head_dim") as said:
        tiny("attention=hybrid", *parts, f"position={position}")
    assert "\n" not in str(said.value)
    assert tiny("attention=hybrid", *parts, "position=learned")
