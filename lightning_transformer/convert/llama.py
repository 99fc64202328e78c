"""LLaMA and Mistral (`LlamaForCausalLM`, `MistralForCausalLM`): preset=llama3, preset=mistral."""

from functools import partial

from lightning_transformer.convert.names import Rules, renamed

LAYER = r"model\.layers\.(\d+)\."
BLOCK = r"decoder.blocks.\1."
SHARED: Rules = (
    (r"model\.embed_tokens\.weight", "embedding.weight"),
    (r"model\.norm\.weight", "decoder.final_norm.weight"),
    (r"lm_head\.weight", "task.head.weight"),
    (LAYER + r"self_attn\.([qkv])_proj\.(\w+)", BLOCK + r"attention.\2.\3"),
    (LAYER + r"self_attn\.([qk])_norm\.weight", BLOCK + r"attention.\2_norm.weight"),
    (LAYER + r"self_attn\.o_proj\.(\w+)", BLOCK + r"attention.out.\2"),
    (LAYER + r"mlp\.gate_proj\.weight", BLOCK + "ffn.up.0.weight"),
    (LAYER + r"mlp\.up_proj\.weight", BLOCK + "ffn.up.1.weight"),
    (LAYER + r"mlp\.down_proj\.weight", BLOCK + "ffn.down.weight"),
)
RULES: Rules = (
    *SHARED,
    (LAYER + r"input_layernorm\.weight", BLOCK + "attention_residual.norm.weight"),
    (LAYER + r"post_attention_layernorm\.weight", BLOCK + "ffn_residual.norm.weight"),
)

convert = partial(renamed, rules=RULES)  # a state dict of Hugging Face, under our names
