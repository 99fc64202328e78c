"""BERT (`BertForMaskedLM`): preset=bert. Tokens are taken to be of the first segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.family import (
    Config,
    Sizes,
    activation,
    activation_back,
    first_segment,
    hidden,
    no_segment,
    width,
)
from lightning_transformer.convert.names import NOT_USED, Rules, renamed

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "bert."
POSITIONS = "max_position_embeddings"
ARCHITECTURE = "BertForMaskedLM"


def layers(prefix: str) -> Rules:
    """Rules of the layers of BERT and of what was built on it."""
    theirs, ours = prefix + ".encoder.layer.{i}.", "encoder.blocks.{i}."
    letter = {"q": "query", "k": "key", "v": "value"}
    return (
        *(
            (theirs + f"attention.self.{name}.{{p}}", ours + f"attention.{q}.{{p}}")
            for q, name in letter.items()
        ),
        (theirs + "attention.output.dense.{p}", ours + "attention.out.{p}"),
        (theirs + "attention.output.LayerNorm.{p}", ours + "attention_residual.norm.{p}"),
        (theirs + "intermediate.dense.{p}", ours + "ffn.up.0.{p}"),
        (theirs + "output.dense.{p}", ours + "ffn.down.{p}"),
        (theirs + "output.LayerNorm.{p}", ours + "ffn_residual.norm.{p}"),
        (prefix + ".embeddings.word_embeddings.weight", "embedding.weight"),
        (prefix + ".embeddings.position_embeddings.weight", "encoder.position.table.weight"),
        (prefix + ".embeddings.LayerNorm.{p}", "encoder.position.norm.{p}"),
        (prefix + ".embeddings.position_ids", NOT_USED),
        (prefix + ".pooler.dense.{p}", NOT_USED),  # a layer of next-sentence prediction
        ("classifier.{p}", NOT_USED),
        ("classifier.dense.{p}", NOT_USED),
        ("classifier.out_proj.{p}", NOT_USED),
        ("cls.seq_relationship.{p}", NOT_USED),
        ("qa_outputs.{p}", NOT_USED),
    )


RULES: Rules = (
    *layers("bert"),
    ("cls.predictions.transform.dense.{p}", "task.transform.linear.{p}"),
    ("cls.predictions.transform.LayerNorm.{p}", "task.transform.norm.{p}"),
    ("cls.predictions.decoder.{p}", "task.head.{p}"),
    ("cls.predictions.bias", "task.head.bias"),  # the same again
)


def encoder_sizes(keys: Keys) -> Sizes:
    """What BERT and RoBERTa call by the same names."""
    keys.only("is_decoder", False)
    keys.only("add_cross_attention", False)
    keys.only("position_embedding_type", "absolute")
    keys.without_effect("type_vocab_size", "max_position_embeddings")
    dim, dropout = keys.take("hidden_size"), keys.take("hidden_dropout_prob", 0.1)
    return {
        "activation": activation(keys, "hidden_act", "gelu"),
        "tie_embeddings": keys.take("tie_word_embeddings", True),
        "model.n_layers": keys.take("num_hidden_layers"),
        "model.d_model": dim,
        "model.dropout": dropout,
        "residual.dropout": dropout,
        "norm.eps": keys.take("layer_norm_eps", 1e-12),
        "attention.n_heads": keys.take("num_attention_heads"),
        "attention.dropout": keys.take("attention_probs_dropout_prob", 0.1),
        **width(keys.take("intermediate_size"), dim, 1),
    }


def encoder_config(ours: Config) -> dict[str, Any]:
    """The way back."""
    model, attention = ours["model"], ours["attention"]
    return {
        "hidden_act": activation_back(ours),
        "tie_word_embeddings": ours["tie_embeddings"],
        "num_hidden_layers": model["n_layers"],
        "hidden_size": model["d_model"],
        "hidden_dropout_prob": model["dropout"],
        "layer_norm_eps": ours["norm"]["eps"],
        "num_attention_heads": attention["n_heads"],
        "attention_probs_dropout_prob": attention["dropout"],
        "intermediate_size": hidden(ours, 1),
        "max_position_embeddings": model["max_len"],
    }


def sizes(keys: Keys) -> Sizes:
    return {"preset": "bert", **encoder_sizes(keys)}


def positions(config: Config) -> int:
    return int(config["max_position_embeddings"])


def describe(ours: Config) -> dict[str, Any]:
    return {**encoder_config(ours), "type_vocab_size": SEGMENTS}


SEGMENTS = 2  # as tokenizers of BERT number them


def convert(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The positions hold the first segment's vector."""
    return renamed(first_segment(theirs, "bert.embeddings."), RULES)


def restore(ours: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    theirs = renamed(ours, RULES, back=True)
    no_segment(theirs, "bert.embeddings.", SEGMENTS)
    if "cls.predictions.decoder.bias" in theirs:
        theirs["cls.predictions.bias"] = theirs["cls.predictions.decoder.bias"]
    return theirs
