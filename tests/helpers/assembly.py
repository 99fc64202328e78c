"""Models put together from options, without composing a configuration each time.

Composing takes longer than all that is then done with a model this small.
"""

from __future__ import annotations

import inspect
from functools import cache, partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.models.base import Transformer
from lightning_transformer.models.decoder_only import DecoderOnly
from lightning_transformer.models.encoder_decoder import EncoderDecoder
from lightning_transformer.nn.init.normal import Normal
from lightning_transformer.paths import CONF
from tests.conftest import compose_config, exchanged, options
from tests.helpers.variants import built_class

MAX_LEN = 9
# So that short rows and two layers see what they change.
SMALLER = {"window": 3, "n_local": 1, "n_rope": 1, "n_prefix": 3, "block_len": 3, "n_global": 1}
SMALLER |= {"chunk_size": 4, "n_first": 1}  # several chunks; both parts of a hybrid
SMALLER |= {"n_positions": 3, "n_memory": 2, "n_tokens": 2}  # tokens beyond the last position
WORDS = ByteVocabulary()


@cache
def built(group: str, option: str) -> Any:
    """What the option's file builds."""
    if "defaults" in OmegaConf.load(CONF / group / f"{option}.yaml"):
        cfg = compose_config(f"{group}={option}")
    else:
        cfg = exchanged(compose_config(), **{group: option})
    shrink(cfg[group])
    return build(cfg, group)


def shrink(option: DictConfig) -> None:
    """Set the sizes of an option, and of others in it, to those of short rows and two layers."""
    for key, value in SMALLER.items():
        for node in (option, *option.values()):
            if isinstance(node, DictConfig) and key in node:
                node[key] = value


@cache
def _task_of(kind: type[Transformer]) -> Any:
    """The first task of an architecture that has an output over the vocabulary."""
    for task in (built_class("task", name) for name in options("task")):
        over_vocabulary = "tie_embeddings" in inspect.signature(task).parameters
        if over_vocabulary and (task.causal, task.needs_source) == (kind.causal, kind.has_source):
            return task
    raise AssertionError(f"no option of conf/task goes with {kind.__name__}")


def _with(factory: Any, parts: dict[str, Any], file: Path) -> Any:
    """The factory with those parts that its file refers to; others have no effect on it."""
    used = {name for name in parts if f"${{{name}}}" in file.read_text(encoding="utf-8")}
    return partial(factory, **{name: parts[name] for name in used})


def assemble(
    kind: type[Transformer] = DecoderOnly, *, tied: bool = False, **choices: str
) -> Transformer:
    """A model of width 16 in float64 and evaluation mode; choices are group=option."""

    def chosen(group: str, default: str) -> Any:
        return built(group, choices.pop(group, default))

    norm = chosen("norm", "rmsnorm")
    option = choices.get("attention", "mha")
    parts = {"kernel": chosen("kernel", "eager"), "qk_norm": chosen("qk_norm", "none")}
    attention = _with(chosen("attention", "mha"), parts, CONF / "attention" / f"{option}.yaml")
    parts = {
        "norm": norm,
        "attention": attention,
        "ffn": partial(chosen("ffn", "dense"), activation=chosen("activation", "gelu")),
        "residual": chosen("residual", "pre_norm"),
    }
    option = choices.get("block", "sequential")
    block = _with(chosen("block", "sequential"), parts, CONF / "block" / f"{option}.yaml")
    layers = (
        {"n_encoder_layers": 2, "n_decoder_layers": 2}
        if kind is EncoderDecoder
        else {"n_layers": 2}
    )
    # Weights of a size at which every part is heard in the output.
    init = chosen("init", "") if "init" in choices else Normal(std=0.3, embedding_std=1.0)
    model = kind(
        **layers,
        d_model=16,
        max_len=MAX_LEN,
        dropout=0.0,
        embedding=chosen("embedding", "plain"),
        block=block,
        position=chosen("position", "none"),
        norm=norm,
        pattern=chosen("pattern", "full"),
        layer_sharing=chosen("layer_sharing", "none"),
        memory_tokens=chosen("memory_tokens", "none"),
        stochastic_depth=0.0,
        init=init,
        task=_task_of(kind)(loss=built("loss", "cross_entropy"), tie_embeddings=tied),
        optimizer=None,
        schedule=None,
        vocabulary=WORDS,
        labels=(),
        seed=1,
    )
    assert not choices, f"nothing is made from {choices}"
    return model.double().eval()
