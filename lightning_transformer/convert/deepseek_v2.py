"""DeepSeek-V2 (`DeepseekV2ForCausalLM`): preset=deepseek_v2."""

from collections.abc import Mapping

from torch import Tensor

from lightning_transformer.convert.llama import BLOCK, LAYER
from lightning_transformer.convert.llama import RULES as LLAMA
from lightning_transformer.convert.names import Rules, renamed

RULES: Rules = (
    *LLAMA,
    (LAYER + r"self_attn\.q(?:_b)?_proj\.weight", BLOCK + "attention.q_up.weight"),
    (LAYER + r"self_attn\.q_a_proj\.(\w+)", BLOCK + r"attention.q_down.\2"),
    (LAYER + r"self_attn\.q_a_layernorm\.weight", BLOCK + "attention.q_norm.weight"),
    (LAYER + r"self_attn\.kv_a_proj_with_mqa\.(\w+)", BLOCK + r"attention.kv_down.\2"),
    (LAYER + r"self_attn\.kv_a_layernorm\.weight", BLOCK + "attention.kv_norm.weight"),
    (LAYER + r"self_attn\.kv_b_proj\.weight", BLOCK + "attention.kv_up.weight"),
    (LAYER + r"mlp\.gate\.weight", BLOCK + "ffn.router.weight"),
    (LAYER + r"mlp\.experts\.gate_up_proj", BLOCK + "ffn.experts.up"),
    (LAYER + r"mlp\.experts\.down_proj", BLOCK + "ffn.experts.down"),
    (LAYER + r"mlp\.shared_experts\.gate_proj\.weight", BLOCK + "ffn.shared.up.0.weight"),
    (LAYER + r"mlp\.shared_experts\.up_proj\.weight", BLOCK + "ffn.shared.up.1.weight"),
    (LAYER + r"mlp\.shared_experts\.down_proj\.weight", BLOCK + "ffn.shared.down.weight"),
)


def convert(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of Hugging Face under our names; it has one tensor for all layers of an expert.

    A q_proj, as the small models have it, is what q_up is here, so these rules come first.
    """
    direct = {name.replace(".q_proj.", ".q_b_proj."): weight for name, weight in theirs.items()}
    return renamed(direct, RULES)
