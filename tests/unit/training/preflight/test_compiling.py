"""What trainer.compile=auto stands for: by length and machine, and as a run began."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from lightning_transformer.checkpoint.store import Checkpoint
from lightning_transformer.errors import ConfigError
from lightning_transformer.nn.ffn.moe import MoE
from lightning_transformer.training.callbacks.compile_blocks import CompileBlocks
from lightning_transformer.training.preflight import compiling

LONG, SHORT = 10**9, 10


class Settled:
    """The answer, what is said, and what the callback will do."""

    def __init__(
        self,
        steps: int = LONG,
        *,
        asked: bool | str = "auto",
        device: str = "cpu",
        processes: int = 1,
        again: bool = False,
        model: Any = None,
        start: Checkpoint | None = None,
    ) -> None:
        cfg = OmegaConf.create(
            {
                "model": {"d_model": 64, "n_layers": 2},
                "data": {"batch_size": 4, "seq_len": 16},
                "trainer": {
                    "max_steps": steps,
                    "compile": asked,
                    "activation_checkpointing": again,
                },
            }
        )
        blocks = CompileBlocks(compile=asked is True)
        trainer: Any = SimpleNamespace(
            callbacks=[object(), blocks],
            strategy=SimpleNamespace(root_device=torch.device(device)),
            world_size=processes,
        )
        self.said: list[str] = []
        model = model or torch.nn.Linear(1, 1)
        self.answer = compiling.settle_compile(cfg, trainer, model, start, self.said.append)
        assert blocks.compile is self.answer


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "missing_for_cpu", lambda: None)


def test_a_long_run_on_a_cpu_is_compiled_and_says_so() -> None:
    settled = Settled()
    assert settled.answer
    (line,) = settled.said
    assert line.startswith("trainer.compile=auto compiles the blocks, ")


@pytest.mark.parametrize(
    "case", [{"steps": SHORT}, {"device": "cuda"}, {"processes": 2}, {"asked": False}]
)
def test_others_are_not_and_say_nothing(case: dict[str, Any]) -> None:
    settled = Settled(**case)
    assert not settled.answer
    assert settled.said == []


def test_what_is_typed_is_taken_at_any_length() -> None:
    assert Settled(SHORT, asked=True).answer


def test_without_a_compiler_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "missing_for_cpu", lambda: "a C++ compiler")
    settled = Settled()
    assert not settled.answer
    assert settled.said == [
        "trainer.compile=auto does not compile the blocks of this long run, for want of a C++ "
        "compiler"
    ]
    assert Settled(SHORT).said == []


def test_experts_that_are_computed_again_stay_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    experts = torch.nn.Sequential(MoE.__new__(MoE))
    torch.nn.Module.__init__(experts[0])
    settled = Settled(again=True, model=experts)
    assert not settled.answer
    assert "experts" in settled.said[0]
    assert Settled(model=experts).answer


def checkpoint(**facts: Any) -> Checkpoint:
    return Checkpoint(Path("step-1"), 1, {}, facts, {})


def test_a_run_goes_on_as_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settled(SHORT, start=checkpoint(compiled=True)).answer
    assert not Settled(LONG, start=checkpoint(compiled=False)).answer
    assert not Settled(LONG, start=checkpoint()).answer  # of a version that compiled when asked to
    assert not Settled(LONG, asked=False, start=checkpoint(compiled=True)).answer
    monkeypatch.setattr(compiling, "missing_for_cpu", lambda: "a C++ compiler")
    with pytest.raises(
        ConfigError, match=r"lacks a C\+\+ compiler; install it, or add trainer\.com"
    ):
        Settled(SHORT, start=checkpoint(compiled=True))
    assert not Settled(SHORT, start=checkpoint(compiled=False)).answer
