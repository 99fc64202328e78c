"""init=mup: what is filled and how it learns, and that sizes of updates do not depend on width."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.build import build
from lightning_transformer.errors import ConfigError
from lightning_transformer.nn.init.base import initialise
from lightning_transformer.nn.init.mup import Mup
from lightning_transformer.nn.linear import Head
from tests.conftest import build_tiny, compose_config, noise, options, tiny
from tests.helpers.short_runs import short_run
from tests.unit.nn.init.drawing import assert_normal, draw
from tests.unit.tasks.drawn import drawn_batch

SMALL = ("init=mup", "init.base_width=32", "init.base_head_dim=8", "optimizer=adamw")
FLAT = 2.0
WIDTHS = (32, 96, 256)  # with four heads, so that they grow as well


@pytest.mark.parametrize("role", ["linear", "query_key", "residual_out"])
def test_variance_falls_with_the_inputs(role: str) -> None:
    assert_normal(draw(Mup(base_width=75, std=0.06), role), 0.03)  # 300 inputs, m = 4


def test_tables_and_output_layer_keep_theirs() -> None:
    assert_normal(draw(Mup(base_width=75, embedding_std=0.7), "embedding"), 0.7)
    assert_normal(draw(Mup(base_width=75, std=0.06), "head"), 0.06)


def stds(model: nn.Module) -> dict[str, float]:
    return {name: float(p.detach().std()) for name, p in model.named_parameters() if p.ndim == 2}


def test_within_a_stack_the_width_of_the_stream_rules() -> None:
    """Also where a layer has more inputs than that, as the second of a feed-forward has."""
    found = stds(tiny(*SMALL, "model.d_model=128", dtype=torch.float32))
    for name, std in found.items():
        assert std == pytest.approx(0.02 if "embedding" in name else 0.01, rel=0.05), name


@pytest.mark.parametrize("tied", ["true", "false"])
def test_at_the_base_width_it_is_normal(tied: str) -> None:
    tie = (f"tie_embeddings={tied}", "model.d_model=32")
    one, other = tiny(*SMALL, *tie), tiny("init=normal", "optimizer=adamw", *tie)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))
    batch = drawn_batch(one.task)
    assert torch.equal(one(batch), other(batch))
    groups, plain = (m.make_optimizer(m).param_groups for m in (one, other))
    assert [(g["name"], g["lr"], g["weight_decay"]) for g in groups] == [
        (g["name"], g["lr"], g["weight_decay"]) for g in plain
    ]


# -- learning rates -------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "lion"])
@pytest.mark.parametrize("tied", ["true", "false"])
def test_hidden_weights_learn_by_base_over_width(optimizer: str, tied: str) -> None:
    model = tiny(
        *SMALL[:3],
        f"optimizer={optimizer}",
        "optimizer.lr=0.5",
        "optimizer.weight_decay=0.1",
        "model.d_model=128",
        "attention.bias=true",
        f"tie_embeddings={tied}",
    )
    groups = model.make_optimizer(model).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    by_name = {g["name"]: {names[id(p)] for p in g["params"]} for g in groups}
    hidden = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not isinstance(module, Head)
    }
    assert by_name["decay_x0.25"] == hidden
    assert by_name.get("decay", set()) == (set() if tied == "true" else {"task.head.weight"})
    assert {n for found in by_name.values() for n in found} == set(names.values())
    for group in groups:
        slow = group["name"] == "decay_x0.25"
        assert group["lr"] == (0.125 if slow else 0.5)
        assert group["lr"] * group["weight_decay"] in (0.0, pytest.approx(0.05, rel=1e-12))
    assert groups[-1]["lr"] == 0.5  # the rate that is logged as optim/lr


@pytest.mark.parametrize(
    "optimizer", [o for o in options("optimizer") if o not in ("adamw", "adam", "lion")]
)
def test_other_optimizers_are_refused(optimizer: str) -> None:
    model = tiny(*SMALL[:3], f"optimizer={optimizer}", "model.d_model=64")
    with pytest.raises(
        ValueError, match=r"^init=mup .*use optimizer=adamw, adam or lion"
    ) as caught:
        model.make_optimizer(model)
    assert "\n" not in str(caught.value)


def test_a_run_is_refused_before_its_data_is_read_and_one_that_fits_shows_its_rates(
    tmp_path: Any,
) -> None:
    wide = (*SMALL[:3], "model.d_model=64")
    with pytest.raises(ConfigError, match=r"^init=mup gives weights learning rates of their own"):
        short_run(tmp_path / "refused", *wide, "optimizer=muon")
    short_run(tmp_path / "run", *wide, "optimizer=adamw", "optimizer.lr=0.5")
    head, first, *_ = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    row = dict(zip(head.split(","), first.split(","), strict=True))
    assert float(row["optim/lr"]) == pytest.approx(0.25)  # half of the warm-up
    assert float(row["optim/lr_decay_x0.5"]) == pytest.approx(0.125)


# -- multipliers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", ["true", "false"])
def test_scores_over_the_vocabulary_are_divided_by_the_width(tied: str) -> None:
    model: Any = tiny(*SMALL, "model.d_model=128", f"tie_embeddings={tied}")
    head, x = model.task.head, noise(3, 128)
    torch.testing.assert_close(head(x), x @ head.weight.T / 4, rtol=0, atol=1e-12)


@pytest.mark.parametrize("embedding", ["plain", "factorised"])
def test_features_are_what_is_divided(embedding: str) -> None:
    """A factorised table goes back through its narrow layer, whose width is not the model's."""
    model: Any = tiny(*SMALL, "model.d_model=128", f"embedding={embedding}")
    assert model.task.head.multiplier == 0.25


def test_attention_scores_are_divided_by_the_head_dim() -> None:
    """At four times the base head, scores are half of what 1 / sqrt(head_dim) gives."""
    model: Any = tiny(*SMALL, "model.d_model=128")
    attention = model.decoder.blocks[0].attention
    assert (attention.head_dim, attention.scale) == (32, 8**0.5 / 32)
    model = tiny(*SMALL, "model.d_model=128", "attention.n_heads=16")
    assert model.decoder.blocks[0].attention.scale is None  # the base head, as usual


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (("attention.scale=0.1",), "init=mup sets .* MultiHeadAttention has its own, 0.1; use"),
        (("attention=mla", "qk_norm=none"), "init=mup sets the scale .* has its own, "),
        (("attention=linear", "position=none"), "init=mup sets the scale .* has none; use"),
        (("residual=hyper_connections",), r"init=mup has rules for .* none for decoder\.blocks"),
        (("residual=ngpt",), r"init=mup has no rule for decoder\.blocks\.0\.\w+\.rates, which"),
        (("residual=depth_attention",), r"init=mup has no rule for decoder\.blocks\.0"),
        (("task.score_scale=1.0",), r"init=mup has no rule for task\.head"),
        (("embedding=scaled",), r"embedding=scaled grows with sqrt\(d_model\)"),
        (("init.base_width=0",), "init.base_width=0 must be"),
        (("init.base_head_dim=0",), "init.base_head_dim=0 must be"),
        (("init.std=0",), "init.std=0"),
    ],
)
def test_refuses(overrides: tuple[str, ...], line: str) -> None:
    cfg = compose_config("data.seq_len=16", *SMALL, *overrides)
    with pytest.raises(ConfigError, match=f"^{line}") as caught:
        build_tiny(cfg, torch.float32)
    assert "\n" not in str(caught.value)


def test_scores_without_a_scale_are_refused() -> None:
    class Own(nn.Module):
        has_scores, head_dim = True, 8

    with pytest.raises(
        ValueError, match=r"^init=mup sets the scale .* Own has none; use attention=mha"
    ):
        Mup().configure_model(nn.Sequential(Own()))


def test_it_is_built_from_its_file() -> None:
    assert build(compose_config("init=mup"), "init") == Mup()


# -- the coordinate check -------------------------------------------------------------------------


def changes(width: int, *overrides: str) -> dict[str, float]:
    """Mean absolute change of what each layer gives after four steps, over three seeds."""
    found = [changes_of(width, seed, *overrides) for seed in (1, 2, 3)]
    return {name: sum(one[name] for one in found) / len(found) for name in found[0]}


def changes_of(width: int, seed: int, *overrides: str) -> dict[str, float]:
    typed = ("optimizer.lr=0.01", "optimizer.weight_decay=0", *overrides)
    model: Any = tiny(f"model.d_model={width}", *typed, dtype=torch.float32).train()
    initialise(model, model.init, seed)
    batch, seen = drawn_batch(model.task, seed=seed), dict[str, Tensor]()

    def keep(name: str) -> Any:
        return lambda module, given, y: seen.update({name: y.detach()})

    for name, module in model.named_modules():
        if name.endswith(("attention", "ffn", "task.head")) or name == "embedding":
            module.register_forward_hook(keep(name))
    optimizer, before = model.make_optimizer(model), dict[str, Tensor]()
    for _ in range(5):
        loss = model.task(model.features(batch), batch).objective / batch.n_targets
        before = before or dict(seen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: float((value - before[name]).abs().mean()) for name, value in seen.items()}


@pytest.mark.parametrize("tied", ["true", "false"])
@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("lion", marks=pytest.mark.slow)])
def test_coordinate_check(optimizer: str, tied: str) -> None:
    """Over eight times the width every layer's change stays within a factor of FLAT."""
    typed = (*SMALL[:3], f"optimizer={optimizer}", f"tie_embeddings={tied}")
    by_width = [changes(width, *typed) for width in WIDTHS]
    assert len(by_width[0]) == 6
    for name in by_width[0]:
        sizes = [found[name] for found in by_width]
        assert max(sizes) < FLAT * min(sizes), (name, sizes)


@pytest.mark.parametrize("tied", ["true", "false"])
def test_coordinate_check_fails_for_the_standard_parametrisation(tied: str) -> None:
    """There every layer's change grows by more than that."""
    typed = ("init=normal", "optimizer=adamw", f"tie_embeddings={tied}")
    narrow, wide = (changes(width, *typed) for width in (WIDTHS[0], WIDTHS[-1]))
    for name, size in narrow.items():
        if name != "embedding":  # whose change is that of single entries
            assert wide[name] > FLAT * size, (name, size, wide[name])
