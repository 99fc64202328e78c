"""RoBERTa (`RobertaForMaskedLM`): preset=roberta. BERT's layers; positions count from 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.families.bert import encoder_config, encoder_sizes, layers
from lightning_transformer.convert.family import (
    Config,
    Sizes,
    first_segment,
    no_segment,
    shifted_back,
)
from lightning_transformer.convert.names import Rules, renamed

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "roberta."
POSITIONS = "max_position_embeddings"
ARCHITECTURE = "RobertaForMaskedLM"
UNUSED = 2  # positions before the first: the number of the padding token, and one more
TABLE = "roberta.embeddings.position_embeddings.weight"
RULES: Rules = (
    *layers("roberta"),
    ("lm_head.dense.{p}", "task.transform.linear.{p}"),
    ("lm_head.layer_norm.{p}", "task.transform.norm.{p}"),
    ("lm_head.decoder.{p}", "task.head.{p}"),
    ("lm_head.bias", "task.head.bias"),  # the same again
)


def sizes(keys: Keys) -> Sizes:
    return {"preset": "roberta", **encoder_sizes(keys)}


def positions(config: Config) -> int:
    return int(config["max_position_embeddings"] - UNUSED)


def describe(ours: Config) -> dict[str, Any]:
    config = encoder_config(ours)
    n = config["max_position_embeddings"] + UNUSED
    return {**config, "max_position_embeddings": n, "type_vocab_size": 1}


def convert(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The positions hold the only segment's vector, and those that no token has are left out."""
    rest = first_segment(theirs, "roberta.embeddings.")
    return renamed({**rest, TABLE: rest[TABLE][UNUSED:]}, RULES)


def restore(ours: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    theirs = renamed(ours, RULES, back=True)
    no_segment(theirs, "roberta.embeddings.", 1)
    shifted_back(theirs, TABLE, UNUSED)
    if "lm_head.decoder.bias" in theirs:
        theirs["lm_head.bias"] = theirs["lm_head.decoder.bias"]
    return theirs
