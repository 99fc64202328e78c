"""BART (`BartForConditionalGeneration`): preset=bart. Its first position has number 2."""

from collections.abc import Mapping

from torch import Tensor

from lightning_transformer.convert.names import Rules, renamed

UNUSED = 2
STACK = r"model\.(encoder|decoder)\."
LAYER = STACK + r"layers\.(\d+)\."
BLOCK = r"\1.blocks.\2."
RULES: Rules = (
    (r"model\.shared\.weight", "embedding.weight"),
    (STACK + r"embed_tokens\.weight", ""),  # the same again
    (STACK + r"embed_positions\.weight", r"\1.position.table.weight"),
    (STACK + r"layernorm_embedding\.(\w+)", r"\1.position.norm.\2"),
    (LAYER + r"self_attn\.([qkv])_proj\.(\w+)", BLOCK + r"attention.\3.\4"),
    (LAYER + r"self_attn\.out_proj\.(\w+)", BLOCK + r"attention.out.\3"),
    (LAYER + r"self_attn_layer_norm\.(\w+)", BLOCK + r"attention_residual.norm.\3"),
    (LAYER + r"encoder_attn\.([qkv])_proj\.(\w+)", BLOCK + r"cross.\3.\4"),
    (LAYER + r"encoder_attn\.out_proj\.(\w+)", BLOCK + r"cross.out.\3"),
    (LAYER + r"encoder_attn_layer_norm\.(\w+)", BLOCK + r"cross_residual.norm.\3"),
    (LAYER + r"fc1\.(\w+)", BLOCK + r"ffn.up.0.\3"),
    (LAYER + r"fc2\.(\w+)", BLOCK + r"ffn.down.\3"),
    (LAYER + r"final_layer_norm\.(\w+)", BLOCK + r"ffn_residual.norm.\3"),
    (r"lm_head\.weight", "task.head.weight"),
    (r"final_logits_bias", "task.head.bias"),
)


def convert(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of Hugging Face under our names, without the unused positions."""
    rest = {n: w[UNUSED:] if "embed_positions" in n else w for n, w in theirs.items()}
    rest["final_logits_bias"] = rest["final_logits_bias"].flatten()
    return renamed(rest, RULES)
