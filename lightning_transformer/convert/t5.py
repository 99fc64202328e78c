"""T5 and T5 1.1 (`T5ForConditionalGeneration`): preset=t5."""

from collections.abc import Mapping

from torch import Tensor

from lightning_transformer.convert.names import Rules, renamed

STACK = r"(encoder|decoder)\."
LAYER = STACK + r"block\.(\d+)\.layer\.\d\."
BLOCK = r"\1.blocks.\2."
BIAS = r"block\.0\.layer\.0\.SelfAttention\.relative_attention_bias\.weight"
RULES: Rules = (
    (r"shared\.weight", "embedding.weight"),
    (STACK + r"embed_tokens\.weight", ""),  # the same again
    (STACK + BIAS, r"\1.position.table.weight"),
    (STACK + r"final_layer_norm\.weight", r"\1.final_norm.weight"),
    (LAYER + r"SelfAttention\.([qkv])\.weight", BLOCK + r"attention.\3.weight"),
    (LAYER + r"SelfAttention\.o\.weight", BLOCK + "attention.out.weight"),
    (LAYER + r"EncDecAttention\.([qkv])\.weight", BLOCK + r"cross.\3.weight"),
    (LAYER + r"EncDecAttention\.o\.weight", BLOCK + "cross.out.weight"),
    (LAYER + r"DenseReluDense\.wi(?:_0)?\.weight", BLOCK + "ffn.up.0.weight"),
    (LAYER + r"DenseReluDense\.wi_1\.weight", BLOCK + "ffn.up.1.weight"),
    (LAYER + r"DenseReluDense\.wo\.weight", BLOCK + "ffn.down.weight"),
    # Layers of an encoder's block: attention, feed-forward; of a decoder's a source in between.
    (
        STACK + r"block\.(\d+)\.layer\.0\.layer_norm\.weight",
        BLOCK + "attention_residual.norm.weight",
    ),
    (r"(encoder)\.block\.(\d+)\.layer\.1\.layer_norm\.weight", BLOCK + "ffn_residual.norm.weight"),
    (
        r"(decoder)\.block\.(\d+)\.layer\.1\.layer_norm\.weight",
        BLOCK + "cross_residual.norm.weight",
    ),
    (r"(decoder)\.block\.(\d+)\.layer\.2\.layer_norm\.weight", BLOCK + "ffn_residual.norm.weight"),
    (r"lm_head\.weight", "task.head.weight"),
)


def convert(theirs: Mapping[str, Tensor], *, tied: bool) -> dict[str, Tensor]:
    """A state dict of Hugging Face under our names.

    tied: of the first T5, whose features are divided by sqrt(D) before the output layer; the gains
    of the decoder's last norm take that in.
    """
    ours = renamed(theirs, RULES)
    if tied:
        gain = ours["decoder.final_norm.weight"]
        ours["decoder.final_norm.weight"] = gain / gain.shape[0] ** 0.5
    return ours
