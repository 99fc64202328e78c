"""What a stack refuses because its parts do not go together."""

from collections.abc import Iterable
from typing import Any

from lightning_transformer.nn.layer_info import option_name
from lightning_transformer.nn.pattern.base import Pattern
from lightning_transformer.nn.pattern.full import Full
from lightning_transformer.nn.position.base import PositionEncoding
from lightning_transformer.nn.residual.base import Residual


def score_sizes(blocks: Iterable[Any]) -> tuple[int, int]:
    """n_heads and head_dim of the first layer with scores, else of the first layer."""
    layers = [block.attention for block in blocks]
    chosen = next((layer for layer in layers if layer.has_scores), layers[0])
    return chosen.n_heads, chosen.head_dim


def check_scores(blocks: Iterable[Any], position: PositionEncoding, pattern: Pattern) -> None:
    """Refuse a position or pattern that acts on scores where no layer has them, or sizes differ."""
    layers = [block.attention for block in blocks]
    sizes = {(layer.n_heads, layer.head_dim) for layer in layers if layer.has_scores}
    if len(sizes) > 1 and position.acts_on_scores:
        sizes_text = " and ".join(f"{n} of width {width}" for n, width in sorted(sizes))
        raise ValueError(
            f"position={type(position).__name__} needs one n_heads and head_dim, and layers have "
            f"heads {sizes_text}; make them equal, or use position=none or position=learned"
        )
    for layer in layers:
        if position.rotates and getattr(layer, "own_positions", False):
            raise ValueError(
                f"attention={option_name(layer)} makes positions of its own from queries and keys, "
                f"which position={option_name(position)} turns; use position=none"
            )
    if sizes:
        return
    name = type(layers[0]).__name__
    if position.acts_on_scores:
        raise ValueError(
            f"position={type(position).__name__} acts on attention scores, and {name} has none; "
            "use position=none or position=learned"
        )
    if pattern != Full():
        raise ValueError(
            f"pattern={type(pattern).__name__} limits attention scores, and {name} has none; "
            "use pattern=full"
        )


def check_prefix(patterns: Iterable[Pattern], causal: bool, max_len: int) -> int:
    """The number of prefix tokens that see each other both ways; ValueError where impossible."""
    n_prefix = max(pattern.prefix() for pattern in patterns)
    if n_prefix and not causal:
        raise ValueError(
            "pattern=prefix lets a causal model see both sides of its first tokens, and an encoder "
            "sees both sides of all; use model=decoder_only or pattern=full"
        )
    if n_prefix > max_len // 2:
        raise ValueError(
            f"n_prefix={n_prefix} must be at most {max_len // 2}, half of max_len {max_len}: what "
            "comes after it is predicted"
        )
    return n_prefix


def check_past_only(
    blocks: Iterable[Any],
    position: PositionEncoding,
    *,
    causal: bool,
    n_prefix: int,
    reads_prefix: bool = False,
) -> None:
    """Refuse what counts back from a query where queries see what comes after them."""
    parts = [(block.attention, "attention=mha") for block in blocks]
    for part, instead in [(position, "position=rope"), *parts]:
        if not getattr(part, "past_only", False) or (causal and not n_prefix and not reads_prefix):
            continue
        name = f"{instead.partition('=')[0]}={option_name(part)}"
        if causal and reads_prefix:
            raise ValueError(
                f"{name} counts back from a query, and with task=prefix_lm the tokens of a source "
                f"also see what comes after them; use task=completion or {instead}"
            )
        if causal:
            raise ValueError(
                f"{name} counts back from a query, and with pattern=prefix the first {n_prefix} "
                f"tokens also see what comes after them; use pattern=full or {instead}"
            )
        raise ValueError(
            f"{name} counts back from a query, and in an encoder queries also see what comes after "
            f"them; use {instead} or model=decoder_only"
        )


def check_reads_prefix(blocks: Iterable[Any], reads_prefix: bool) -> None:
    """Refuse to let tokens see each other both ways where no layer has scores."""
    layers = [block.attention for block in blocks]
    if reads_prefix and not any(layer.has_scores for layer in layers):
        raise ValueError(
            f"task=prefix_lm opens attention scores, and attention={option_name(layers[0])} has "
            "none; use task=completion"
        )


def reads_in_order(stack: Any) -> bool:
    """Whether a layer of a stack hears what is before a token through what lies between."""
    return any(getattr(module, "reads_in_order", False) for module in stack.blocks.modules())


def check_documents(stack: Any) -> None:
    """Refuse packed documents that memory tokens would join, or that would not hear them."""
    if not stack.memory_tokens.n_tokens or (stack.causal and not reads_in_order(stack)):
        return
    reason = (
        "a layer would hear them through the documents between"
        if stack.causal
        else "in an encoder they read all documents of a row, which so would hear each other"
    )
    group = stack.memory_tokens.group
    raise ValueError(
        f"{group}={option_name(stack.memory_tokens)} goes before a whole row, and {reason}; "
        f"use packing=stream or {group}=none"
    )


def check_stochastic_depth(rate: float, residual: Residual) -> None:
    """Refuse to leave layers out of a stream that is no sum of them."""
    if rate and residual.grows:
        raise ValueError(
            f"model.stochastic_depth={rate} leaves layers out of a sum, and "
            f"residual={type(residual).__name__} keeps their outputs apart; use 0, or "
            "residual=pre_norm"
        )
