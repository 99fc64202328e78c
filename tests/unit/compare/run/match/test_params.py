"""match=params: the variant ends within 1 % of the baseline, or is refused in one line."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from lightning_transformer.build import build, build_model
from lightning_transformer.compare.run.match.base import size_of
from lightning_transformer.compare.run.match.params import Params
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.tasks.base import Batch
from tests.conftest import compose_config

TINY = ("model.d_model=32", "model.n_layers=1", "attention.n_heads=4", "data.seq_len=32")
SMALL = ("model.d_model=64", "model.n_layers=2", "data.seq_len=64")


def solved(baseline: list[str], variant: list[str], match: Params | None = None):
    base, cfg = compose_config(*SMALL, *baseline), compose_config(*SMALL, *variant)
    found = (match or Params())(cfg, base)
    for key, value in found.changes.items():
        OmegaConf.update(cfg, key, value)
    ratio = size_of(cfg).n_params_non_embedding / size_of(base).n_params_non_embedding
    return found, ratio


@pytest.mark.parametrize(
    ("baseline", "variant"),
    [
        (["activation=gelu"], ["activation=swiglu", "ffn.round_to=1"]),
        (["attention=mha"], ["attention=gqa", "attention.n_kv_heads=1", "ffn.round_to=1"]),
        (["norm=rmsnorm"], ["model.d_model=80", "ffn.round_to=1"]),
    ],
)
def test_a_variant_meets_the_baseline(baseline, variant):
    found, ratio = solved(baseline, variant)
    assert abs(ratio - 1) <= 0.01
    assert ratio - 1 == pytest.approx(found.residual, abs=1e-12)


def test_what_is_near_enough_is_left_as_it_is():
    found, ratio = solved(["norm=rmsnorm"], ["norm=layernorm"])
    assert found.changes == {}
    assert 1 < ratio < 1.01
    assert found.residual == pytest.approx(ratio - 1)


def test_a_whole_number_stays_one_and_widths_that_heads_refuse_are_passed_over():
    found, ratio = solved([], ["model.n_layers=3"], Params(key="model.d_model", tolerance=0.3))
    assert type(found.changes["model.d_model"]) is int
    assert found.changes["model.d_model"] % 4 == 0
    assert abs(ratio - 1) <= 0.3


@pytest.mark.parametrize(
    ("variant", "match", "message"),
    [
        (["model.n_layers=12"], Params(), "which match.tolerance=0.01 does not allow"),
        (["attention=gqa", "ffn.round_to=64"], Params(), "try ffn.round_to=1, "),
        (["activation=gelu", "ffn.round_to=64"], Params(tolerance=1e-4), "match.tolerance=0.0"),
        (["model.n_layers=3"], Params(key="norm.eps2"), "match.key=norm.eps2 is None here"),
    ],
)
def test_what_cannot_be_met_is_refused_in_one_line(variant, match, message):
    with pytest.raises(ValueError, match=r"^match") as caught:
        solved([], variant, match)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tolerance_of_nothing_is_refused():
    with pytest.raises(ValueError, match="tolerance=0"):
        Params(tolerance=0)


@pytest.mark.parametrize(
    "variant",
    ["norm=layernorm", "activation=swiglu", "ffn=dense", "residual=post_norm", "attention=gqa"],
)
def test_flops_are_those_that_torch_counts(variant):
    """FlopCounterMode on the meta device, forward and backward, against FLOPs per token * tokens.

    An encoder, whose queries see all keys: torch counts all of them, causal or not.
    """
    cfg = compose_config("model=encoder_only", "kernel=eager", *SMALL, variant)
    with torch.device("meta"):
        model = build_model(cfg, vocabulary=ByteVocabulary(), labels=["a"], seed=0).train()
        ids = torch.zeros(2, 64, dtype=torch.long)
        batch = Batch(ids, ids.clone(), torch.tensor(128), 128)
        with FlopCounterMode(display=False) as counter:
            model.task(model.features(batch), batch).objective.backward()
    assert counter.get_total_flops() == pytest.approx(size_of(cfg).flops_per_token * 128, rel=0.01)


def test_the_group_builds_what_its_files_say():
    cfg = compose_config("match=params", "match.tolerance=0.02")
    match = build(cfg, "match")
    assert (match.key, match.tolerance) == ("ffn.hidden_mult", 0.02)


@pytest.mark.parametrize(
    "variant",
    [
        ["ffn=moe"],
        ["attention=gqa", "ffn.round_to=64"],
    ],
)
def test_advice_is_accepted(variant):
    """Whatever a refusal proposes is no refusal in turn."""
    with pytest.raises(ValueError, match=r" or match=none$") as refused:
        Params()(compose_config(*TINY, *variant), compose_config(*TINY))
    advice = str(refused.value).partition("try ")[2].removesuffix(" or match=none").split(", ")
    assert advice
    for text in advice:
        name, _, value = text.partition("=")
        match = Params(tolerance=float(value)) if name == "match.tolerance" else Params()
        more = [] if name == "match.tolerance" else [text]
        match(compose_config(*TINY, *variant, *more), compose_config(*TINY, *more))


def test_of_experts_those_that_a_token_uses_are_counted():
    """Eight experts, two a token: as wide as a dense layer of the same active weights."""
    base, cfg = compose_config(*SMALL), compose_config(*SMALL, "ffn=moe")
    size = size_of(cfg)
    with torch.device("meta"):
        model = build_model(cfg, vocabulary=ByteVocabulary(), labels=[], seed=0)
    experts = [m for m in model.modules() if type(m).__name__ == "Experts"]
    unused = sum((m.up.numel() + m.down.numel()) * 6 // 8 for m in experts)
    assert size.n_params_non_embedding - size.n_params_active == unused > 0
    found = Params(tolerance=0.03)(cfg, base)  # widths of experts are multiples of 8
    for key, value in found.changes.items():
        OmegaConf.update(cfg, key, value)
    ratio = size_of(cfg).n_params_active / size_of(base).n_params_active
    assert abs(ratio - 1) <= 0.03


def test_sizes_that_trained_weights_have_are_not_changed():
    few = ["adapter=lora", "adapter.rank=1"]
    start = "init_from=somewhere"  # nothing is read there
    assert solved([start], [start, *few, "adapter.targets=[q]"])[0].changes == {}
    with pytest.raises(ValueError, match=r"would change ffn.hidden_mult, which .* match=trained"):
        solved([start], [start, "adapter=lora", "adapter.rank=32"])
