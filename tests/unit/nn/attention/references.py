"""What the tests of attention share with the modules of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.norm.none import NoNorm
from tests.conftest import noise

D, T = 24, 7


def angles(width: int, n: int = T) -> Tensor:
    """t / 10000^(2i/width), (n, width / 2)."""
    pairs = torch.arange(0, width, 2, dtype=torch.float64)
    return torch.arange(n, dtype=torch.float64)[:, None] / 10000.0 ** (pairs / width)


def cos_sin(width: int) -> tuple[Tensor, Tensor]:
    """As transformers hands them to its layers: (1, T, width)."""
    both = torch.cat((angles(width), angles(width)), dim=-1)[None]
    return both.cos(), both.sin()


def turning(width: int, first: int = 0, n: int = T) -> AttentionContext:
    """Causal, with rotary positions first .. first + n - 1, half-split."""
    turn = torch.polar(torch.tensor(1.0, dtype=torch.float64), angles(width, first + n)[first:])

    def rotate(x: Tensor) -> Tensor:
        y = torch.complex(*x.chunk(2, dim=-1)) * turn
        return torch.cat((y.real, y.imag), dim=-1)

    return AttentionContext(is_causal=n > 1, rotate=rotate)


def made(kind: Any, dim: int = D, **options: Any) -> Any:
    """A layer in float64 whose weights are all random, also those that start as constants."""
    chosen = {"kernel": Eager(), "qk_norm": NoNorm} | options
    return shaken(kind(dim, **chosen))


def shaken(layer: nn.Module) -> Any:
    layer = layer.double().eval()
    with torch.no_grad():
        for i, parameter in enumerate(layer.parameters()):
            parameter.copy_(noise(*parameter.shape, seed=i) / parameter.shape[-1] ** 0.5)
    return layer


def configured(model: str, name: str, **options: Any) -> Any:
    """A configuration of transformers with the sizes of these tests and its fused kernel."""
    import transformers

    sizes = {"hidden_size": D, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6}
    config = getattr(transformers, f"{name}Config")(**(sizes | options))
    config._attn_implementation = options.get("attn_implementation", "sdpa")
    return config


def hugging_face(model: str, name: str, **options: Any) -> Any:
    """The attention layer of a model of transformers, with random weights."""
    import importlib

    module = importlib.import_module(f"transformers.models.{model}.modeling_{model}")
    layer = getattr(module, f"{name}Attention")(configured(model, name, **options), layer_idx=1)
    return shaken(layer)


def copy_projections(ours: Any, theirs: Any) -> None:
    with torch.no_grad():
        for name, its in (("q", "q"), ("k", "k"), ("v", "v"), ("out", "o")):
            mine, other = getattr(ours, name), getattr(theirs, f"{its}_proj")
            mine.weight.copy_(other.weight)
            if other.bias is not None:
                mine.bias.copy_(other.bias)


def below() -> Tensor:
    """The causal mask that is added to scores, (1, 1, T, T)."""
    ones = torch.ones(T, T, dtype=torch.float64)
    return torch.zeros_like(ones).masked_fill(ones.triu(1).bool(), -torch.inf)[None, None]
