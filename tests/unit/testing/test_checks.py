"""The contract checks see what they are for: each component here is broken in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from lightning_transformer.nn.activation.gelu import GELU
from lightning_transformer.nn.attention.kernels.eager import Eager
from lightning_transformer.nn.attention.multi_head import MultiHeadAttention
from lightning_transformer.nn.block.sequential import Sequential
from lightning_transformer.nn.ffn.dense import Dense
from lightning_transformer.nn.init.fixup import Fixup
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.nn.loss.cross_entropy import CrossEntropy
from lightning_transformer.nn.norm.none import NoNorm
from lightning_transformer.nn.norm.rmsnorm import RMSNorm
from lightning_transformer.nn.pattern.base import Pattern
from lightning_transformer.nn.pooling.mean import MeanPooling
from lightning_transformer.nn.position.alibi import ALiBi
from lightning_transformer.nn.position.learned import Learned
from lightning_transformer.nn.position.rope import RoPE
from lightning_transformer.nn.residual.pre_norm import PreNorm
from lightning_transformer.optim.schedule.linear import Linear
from lightning_transformer.testing import checks


class RowNorm(RMSNorm):
    def forward(self, x: Tensor) -> Tensor:
        return x / (x.square().mean(dim=(-1, -2), keepdim=True) + 1e-6).sqrt() * self.weight


class WideNorm(RMSNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()


class NoEps(RMSNorm):
    def forward(self, x: Tensor) -> Tensor:
        return x / x.square().mean(dim=-1, keepdim=True).sqrt() * self.weight


class RandomGain(RMSNorm):
    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.weight = nn.Parameter(torch.randn(dim))


class UnusedGain(RMSNorm):
    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.other = nn.Parameter(torch.ones(dim))


class InPlace(RMSNorm):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        with torch.no_grad():
            x.zero_()
        return y


class Forgetful(NoNorm):
    """Keeps what it learns where the state dict does not see it."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.gain = [nn.Parameter(torch.rand(dim))]

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain[0].to(x.dtype)


class SumGELU(GELU):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x.sum()


class ThreeInputs(GELU):
    n_inputs = 3


class Mixing(Dense):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.cumsum(dim=1) if x.ndim == 3 else x)


class NoResidualOut(nn.Linear):
    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, bias=False)


class FromRowStart(Learned):
    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        return x + self.table(torch.arange(x.shape[1]))


class AbsoluteBias(ALiBi):
    def bias(self, queries: Tensor, keys: Tensor) -> Tensor:
        return super().bias(queries, keys) * keys


class RotatesUncalled(Learned):
    def rotate(self, x: Tensor, angles: Tensor) -> Tensor:
        return -x


class RotatesKeysUncalled(Learned):
    def rotate_keys(self, x: Tensor, angles: Tensor) -> Tensor:
        return -x


class KeysFromRowStart(RoPE):
    def rotate_keys(self, x: Tensor, angles: Tensor) -> Tensor:
        return self.rotate(x, self.angles(torch.arange(x.shape[2])))


class HidesItsBias(ALiBi):
    acts_on_scores = False  # type: ignore[assignment]


class NarrowRoPE(RoPE):
    def rotate(self, x: Tensor, angles: Tensor) -> Tensor:
        return super().rotate(x, angles)[..., :2]


class Unequal(Pattern):
    """Not a frozen value: two of them are never equal."""

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        return keys <= queries


@dataclass(frozen=True)
class Blind(Pattern):
    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        return keys < queries


@dataclass(frozen=True)
class BySize(Pattern):
    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        return keys <= queries + (queries.shape[-2] < 40)


@dataclass(frozen=True)
class Additive(Pattern):
    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        return (keys > queries) * -1e9


class Twice(PreNorm):
    def forward(self, x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
        return super().forward(super().forward(x, f), f)


class Detached(PreNorm):
    def forward(self, x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
        return super().forward(x.detach(), f)


class NoCache(MultiHeadAttention):
    def forward(self, x: Tensor, context: Any, memory: Any = None, cache: Any = None) -> Tensor:
        return super().forward(x, context, memory)


class Acausal(MultiHeadAttention):
    def forward(self, x: Tensor, context: Any, memory: Any = None, cache: Any = None) -> Tensor:
        return super().forward(x, replace(context, is_causal=False), memory, cache)


class DeafBlock(Sequential):
    def forward(self, x: Tensor, context: Any, *others: Any) -> Tensor:
        return super().forward(x, context)


class Unscaled(Eager):
    def __call__(self, q: Tensor, *rest: Any) -> Tensor:
        return super().__call__(q * 2, *rest)


class OtherHeads(Eager):
    """Query head h reads key head h mod G instead of h div (H / G)."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, context: Any, dropout: float) -> Tensor:
        n = q.shape[1] // k.shape[1]
        return super().__call__(q, k.repeat(1, n, 1, 1), v.repeat(1, n, 1, 1), context, dropout)


class Opposite(Eager):
    """Reads a mask as True = hidden."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, context: Any, dropout: float) -> Tensor:
        if context.mask is not None:
            context = replace(context, mask=~context.mask)
        return super().__call__(q, k, v, context, dropout)


class Dry(Eager):
    def __call__(self, q: Tensor, k: Tensor, v: Tensor, context: Any, dropout: float) -> Tensor:
        return super().__call__(q, k, v, context, 0.0)


class NaNRows(Eager):
    """A query that may see nothing gets NaN."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, context: Any, dropout: float) -> Tensor:
        y = super().__call__(q, k, v, context, dropout)
        if context.mask is None:
            return y
        return y.masked_fill(~context.mask.any(-1, keepdim=True), float("nan"))


class GlobalDraw(Normal):
    def linear(self, weight: Tensor, depth: int, generator: Generator) -> None:
        nn.init.normal_(weight)


class Untouched(Normal):
    def head(self, weight: Tensor, generator: Generator) -> None:
        pass


class SameTokens(Fixup):
    def embedding(self, weight: Tensor, generator: Generator) -> None:
        weight.zero_()


class HighPeak(Linear):
    def __call__(self, step: int, total_steps: int) -> float:
        return 0.5 * super().__call__(step, total_steps)


class Lenient(Linear):
    def validate(self, total_steps: int) -> None:
        pass


class Counting(Linear):
    """Depends on how often it was asked."""

    n = 0

    def __call__(self, step: int, total_steps: int) -> float:
        type(self).n += 1
        return super().__call__(step, total_steps) * (1 - 1e-6 * (self.n > 150))


class IdleEnd(Linear):
    def __call__(self, step: int, total_steps: int) -> float:
        return super().__call__(step + (step == total_steps - 1), total_steps)


class PlainMean(MeanPooling):
    def forward(self, features: Tensor, padding: Tensor | None) -> Tensor:
        return features.mean(dim=1)


class MeanLoss(CrossEntropy):
    def forward(self, scores: Tensor, labels: Tensor) -> Any:
        sums = super().forward(scores, labels)
        return sums._replace(objective=sums.objective / len(labels))


class SmoothNLL(CrossEntropy):
    def forward(self, scores: Tensor, labels: Tensor) -> Any:
        sums = super().forward(scores, labels)
        return sums._replace(nll=sums.objective.detach())


heads = partial(MultiHeadAttention, kernel=Eager(), qk_norm=NoNorm)
parts = {"norm": RMSNorm, "ffn": partial(Dense, activation=GELU), "residual": PreNorm}


def attention(cls: type) -> Callable[..., Any]:
    return partial(cls, kernel=Eager(), qk_norm=NoNorm)


BROKEN = [
    (checks.check_norm, RowNorm, "a position depends on others"),
    (checks.check_norm, WideNorm, "became torch.float32"),
    (checks.check_norm, NoEps, "not finite for inputs of size 0"),
    (checks.check_norm, RandomGain, "depend on the global seed"),
    (checks.check_norm, UnusedGain, "other gets no finite gradient"),
    (checks.check_norm, InPlace, "in place"),
    (checks.check_norm, Forgetful, "depend on the global seed"),
    (checks.check_activation, SumGELU, "an element depends on others"),
    (checks.check_activation, ThreeInputs, "n_inputs is 3"),
    (checks.check_ffn, partial(Mixing, activation=GELU), "a position depends on others"),
    (checks.check_ffn, NoResidualOut, "ResidualOut"),
    (checks.check_embedding, lambda n, d: nn.Embedding(d, n), "not \\(vocab_size, d_model\\)"),
    (checks.check_position, FromRowStart, "row.s start"),
    (checks.check_position, AbsoluteBias, "not relative"),
    (checks.check_position, RotatesUncalled, "there is no angles"),
    (checks.check_position, RotatesKeysUncalled, "there is no angles"),
    (checks.check_position, KeysFromRowStart, "rotate_keys depends on the row.s start"),
    (checks.check_position, HidesItsBias, "derived from angles and bias"),
    (checks.check_position, NarrowRoPE, "became \\(2, 4, 6, 2\\)"),
    (checks.check_pattern, Unequal(), "equal copies"),
    (checks.check_pattern, Blind(), "hides a query from itself"),
    (checks.check_pattern, BySize(), "more than the two positions"),
    (checks.check_pattern, Additive(), "it must be bool"),
    (checks.check_residual, Twice, "called f 2 times"),
    (checks.check_residual, Detached, "no gradient reaches x"),
    (checks.check_attention, attention(NoCache), "cache differs"),
    (checks.check_attention, attention(Acausal), "sees the future"),
    (checks.check_block, partial(DeafBlock, attention=heads, **parts), "ignores the source"),
    (checks.check_kernel, Unscaled(), "differs from eager"),
    (checks.check_kernel, OtherHeads(), "2 of 4 key heads differs from eager"),
    (checks.check_kernel, Opposite(), "a mask and 4 of 4 key heads differs from eager"),
    (checks.check_kernel, Dry(), "dropout does nothing"),
    (checks.check_kernel, NaNRows(), "a mask and 4 of 4 key heads differs from eager"),
    (checks.check_init, GlobalDraw(), "does not follow the generator"),
    (checks.check_init, Untouched(), "head leaves numbers that are not finite"),
    (checks.check_init, SameTokens(), "embedding is zero"),
    (checks.check_schedule, HighPeak(), "peaks at 0.5"),
    (checks.check_schedule, Lenient(), "ends before the warm-up"),
    (checks.check_schedule, Counting(), "more than the step"),
    (checks.check_schedule, IdleEnd(), r"step \[0\] of 1 is not above 0"),
    (checks.check_pooling, PlainMean, "pads change the result"),
    (checks.check_loss, MeanLoss, "objective is not the sum"),
    (checks.check_loss, partial(SmoothNLL, label_smoothing=0.1), "plain negative log-likelihood"),
]


@pytest.mark.parametrize(
    ("check", "broken", "line"), BROKEN, ids=[f"{c.__name__[6:]}: {w}" for c, _, w in BROKEN]
)
def test_check_sees(check: Callable[[Any], None], broken: Any, line: str) -> None:
    with pytest.raises(AssertionError, match=line) as caught:
        check(broken)
    assert "\n" not in str(caught.value)
