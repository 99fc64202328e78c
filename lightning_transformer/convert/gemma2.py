"""Gemma 2 (`Gemma2ForCausalLM`): preset=gemma2. LLaMA's names, norms on both sides of layers."""

from functools import partial

from lightning_transformer.convert.llama import BLOCK, LAYER, SHARED
from lightning_transformer.convert.names import Rules, renamed

RULES: Rules = (
    *SHARED,
    (LAYER + r"input_layernorm\.weight", BLOCK + "attention_residual.norm.weight"),
    (LAYER + r"post_attention_layernorm\.weight", BLOCK + "attention_residual.norm_out.weight"),
    (LAYER + r"pre_feedforward_layernorm\.weight", BLOCK + "ffn_residual.norm.weight"),
    (LAYER + r"post_feedforward_layernorm\.weight", BLOCK + "ffn_residual.norm_out.weight"),
)

convert = partial(renamed, rules=RULES)  # a state dict of Hugging Face, under our names
