"""match=trained: as many trained parameters as the baseline, new parts apart."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from lightning_transformer.compare.run.match.base import n_trained
from lightning_transformer.compare.run.match.trained import Trained
from tests.conftest import compose_config

SMALL = ("model.d_model=48", "model.n_layers=1", "attention.n_heads=2", "data.seq_len=32")
ALL = ("adapter.targets=[q,k,v,out]",)


def solved(baseline: list[str], variant: list[str], match: Trained | None = None) -> int:
    """The value that is found; the numbers are then equal within the tolerance."""
    base, cfg = compose_config(*SMALL, *baseline), compose_config(*SMALL, *variant)
    match = match or Trained()
    found = match(cfg, base)
    (value,) = found.changes.values()
    OmegaConf.update(cfg, match.key, value)
    assert n_trained(cfg) / n_trained(base) - 1 == found.residual
    assert abs(found.residual) <= match.tolerance
    assert type(value) is int
    return value


def test_a_rank_by_hand() -> None:
    # Two layers of 48 to 48: 8 (48 + 48) weights each; of four layers half the rank.
    assert n_trained(compose_config(*SMALL, "adapter=lora")) == 2 * 8 * 96
    assert solved(["adapter=lora"], ["adapter=lora", *ALL]) == 4


def test_the_widest_rank_that_a_layer_has_is_reached() -> None:
    # From 8 to 40, while 64 is above the width 48.
    assert solved(["adapter=lora", *ALL, "adapter.rank=20"], ["adapter=lora"]) == 40


def test_another_key() -> None:
    wide = Trained(key="adapter.width", tolerance=0.1)
    assert solved(["adapter=lora"], ["adapter=bottleneck"], wide) < 16


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (["adapter=lora"], r"\(at best, with adapter\.rank=48\) differ by -.* does not allow; try"),
        (["adapter=head"], r"^match=trained: only new parts are trained here, .*adapter=lora$"),
        (["adapter=ia3"], r"^match\.key=adapter\.rank is None here .*; try adapter=lora, or match"),
    ],
)
def test_refuses_in_one_line(variant: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        solved([], variant)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="tolerance=0"):
        Trained(tolerance=0)
