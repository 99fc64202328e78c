"""kernel=auto."""

from typing import Any

import pytest
import torch

from lightning_transformer.build import build
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels import auto
from lightning_transformer.nn.attention.kernels.auto import Auto
from lightning_transformer.nn.attention.kernels.base import ScoreMods
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.kernels.sdpa import SDPA
from lightning_transformer.training.messages import notices
from tests.conftest import TINY, build_tiny, compose_config, noise


class Named:
    """A kernel that says who was called."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls = name, calls

    def __call__(self, *args: Any) -> None:
        self.calls.append(self.name)


@pytest.mark.parametrize(
    ("scoring", "name"),
    [
        (None, "sdpa"),
        (ScoreMods(), "sdpa"),
        (ScoreMods(sinks=torch.zeros(2)), "sdpa"),
        (ScoreMods(softcap=5.0), "eager"),
        (ScoreMods(softcap=5.0, sinks=torch.zeros(2)), "eager"),
        (ScoreMods(mix_scores=torch.tanh), "eager"),
        (ScoreMods(mix_weights=torch.tanh), "eager"),
    ],
)
def test_takes_sdpa_where_it_can(
    scoring: ScoreMods | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(auto, "SDPA", type("S", (), {"__new__": lambda cls: Named("sdpa", calls)}))
    monkeypatch.setattr(auto.SDPA, "supports", SDPA.supports, raising=False)
    monkeypatch.setattr(auto, "Eager", lambda: Named("eager", calls))
    x = noise(1, 2, 3, 4)
    Auto()(x, x, x, AttentionContext(), 0.0, scoring)
    assert calls == [name]


def test_says_what_it_took_and_why() -> None:
    described = Auto.describe({"sinks"})
    assert described.startswith("kernel=auto takes sdpa, the fastest that computes all")
    wanted = "kernel=auto takes eager, because sdpa does not compute softcap"
    assert Auto.describe({"sinks", "softcap"}) == wanted
    assert Auto.supports == Eager.supports


@pytest.mark.parametrize(
    ("attention", "taken"), [("mha", "takes sdpa"), ("softcap", "takes eager, because sdpa")]
)
def test_a_run_says_it_once(attention: str, taken: str) -> None:
    cfg = compose_config(*TINY, "kernel=auto", f"attention={attention}", "model.n_layers=3")
    lines = list(notices(cfg, build_tiny(cfg), build(cfg, "pattern")))
    assert len(lines) == 1
    assert taken in lines[0]
    plain = compose_config(*TINY)
    assert list(notices(plain, build_tiny(plain), build(plain, "pattern"))) == []
