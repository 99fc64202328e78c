"""T5 and T5 1.1 (`T5ForConditionalGeneration`): preset=t5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.family import Config, Sizes, hidden, width
from lightning_transformer.convert.names import NOT_USED, Rules, renamed

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = ""
ARCHITECTURE = "T5ForConditionalGeneration"
LAYER, BLOCK = "{s}.block.{i}.layer.", "{s}.blocks.{i}."
NORM = "layer_norm.weight"
DENSE = "DenseReluDense."
RULES: Rules = (
    ("shared.weight", "embedding.weight"),
    ("{s}.embed_tokens.weight", NOT_USED),  # the same again
    (
        "{s}.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        "{s}.position.table.weight",
    ),
    # Of the early models, which used none there.
    ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", NOT_USED),
    ("{s}.final_layer_norm.weight", "{s}.final_norm.weight"),
    (LAYER + "0.SelfAttention.{q}.weight", BLOCK + "attention.{q}.weight"),
    (LAYER + "0.SelfAttention.o.weight", BLOCK + "attention.out.weight"),
    (LAYER + "1.EncDecAttention.{q}.weight", BLOCK + "cross.{q}.weight"),
    (LAYER + "1.EncDecAttention.o.weight", BLOCK + "cross.out.weight"),
    # Layers of an encoder's block: attention, feed-forward; of a decoder's a source in between.
    (LAYER + f"0.{NORM}", BLOCK + "attention_residual.norm.weight"),
    (f"encoder.block.{{i}}.layer.1.{NORM}", "encoder.blocks.{i}.ffn_residual.norm.weight"),
    (f"decoder.block.{{i}}.layer.1.{NORM}", "decoder.blocks.{i}.cross_residual.norm.weight"),
    (f"decoder.block.{{i}}.layer.2.{NORM}", "decoder.blocks.{i}.ffn_residual.norm.weight"),
    *(
        (
            f"{stack}.block.{{i}}.layer.{number}.{DENSE}{theirs}.weight",
            f"{stack}.blocks.{{i}}.ffn.{ours}.weight",
        )
        for stack, number in (("encoder", 1), ("decoder", 2))
        # Of a gated layer wi_0 and wi_1, of another one wi.
        for theirs, ours in (("wi_0", "up.0"), ("wi_1", "up.1"), ("wi", "up.0"), ("wo", "down"))
    ),
    ("lm_head.weight", "task.head.weight"),
)
KINDS = {"relu": "relu", "gated-gelu": "geglu_tanh", "gated-silu": "swiglu"}


def divides(config: Config) -> bool:
    """Whether features are divided by sqrt(D) before the output: in the first T5."""
    tied = config.get("tie_word_embeddings") is not False
    return bool(config.get("scale_decoder_outputs", tied))


def sizes(keys: Keys) -> Sizes:
    keys.only("is_decoder", False)
    keys.without_effect("dense_act_fn", "is_gated_act", "n_positions")  # of feed_forward_proj
    kind = keys.take("feed_forward_proj", "relu")
    if kind not in KINDS:
        raise ValueError(
            f"{keys.path}: feed_forward_proj={kind} has no counterpart here; only "
            f"{', '.join(KINDS)}"
        )
    # Newer files say tied of all, and have a head of its own all the same.
    tied = keys.take("tie_word_embeddings", True)
    divided = keys.take("scale_decoder_outputs", tied)
    dim, dropout = keys.take("d_model"), keys.take("dropout_rate", 0.1)
    n_layers = keys.take("num_layers")
    return {
        "preset": "t5",
        "activation": KINDS[kind],
        "tie_embeddings": tied and (divided or "lm_head.weight" not in keys.names),
        "model.n_encoder_layers": n_layers,
        "model.n_decoder_layers": keys.take("num_decoder_layers", None) or n_layers,
        "model.d_model": dim,
        "model.dropout": dropout,
        "residual.dropout": dropout,
        "norm.eps": keys.take("layer_norm_epsilon", 1e-6),
        "attention.n_heads": keys.take("num_heads"),
        "attention.head_dim": keys.take("d_kv"),
        "attention.dropout": dropout,
        "position.n_buckets": keys.take("relative_attention_num_buckets", 32),
        "position.max_distance": keys.take("relative_attention_max_distance", 128),
        **width(keys.take("d_ff"), dim, 1 + kind.startswith("gated")),
    }


def positions(config: Config) -> None:
    return None


def describe(ours: Config) -> dict[str, Any]:
    model, attention, position = ours["model"], ours["attention"], ours["position"]
    target = str(ours["activation"]["_target_"]).rpartition(".")[2].lower()
    kind = next((theirs for theirs, name in KINDS.items() if name.replace("_", "") in target), "")
    gate = kind.startswith("gated")
    return {
        "feed_forward_proj": kind or "relu",
        "tie_word_embeddings": ours["tie_embeddings"],
        "scale_decoder_outputs": False,
        "num_layers": model["n_encoder_layers"],
        "num_decoder_layers": model["n_decoder_layers"],
        "d_model": model["d_model"],
        "dropout_rate": model["dropout"],
        "layer_norm_epsilon": ours["norm"]["eps"],
        "num_heads": attention["n_heads"],
        "d_kv": attention["head_dim"] or model["d_model"] // attention["n_heads"],
        "d_ff": hidden(ours, 1 + gate),
        "relative_attention_num_buckets": position["n_buckets"],
        "relative_attention_max_distance": position["max_distance"],
    }


def convert(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Where theirs divides features, the gains of the decoder's last norm take that in."""
    ours = renamed(theirs, RULES)
    if divides(config):
        gain = ours["decoder.final_norm.weight"]
        ours["decoder.final_norm.weight"] = gain / gain.shape[0] ** 0.5
    return ours


def restore(ours: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Names alone: `describe` says that nothing is divided."""
    theirs = renamed(ours, RULES, back=True)
    if config["feed_forward_proj"].startswith("gated"):
        return theirs
    return {name.replace(f"{DENSE}wi_0.", f"{DENSE}wi."): w for name, w in theirs.items()}
