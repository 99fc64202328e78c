"""GPT-2 (`GPT2LMHeadModel`): preset=gpt2. Its matrices are (in, out), queries, keys, values one."""

from collections.abc import Mapping

from torch import Tensor

from lightning_transformer.convert.names import Rules, renamed

LAYER = r"transformer\.h\.(\d+)\."
BLOCK = r"decoder.blocks.\1."
RULES: Rules = (
    (r"transformer\.wte\.weight", "embedding.weight"),
    (r"transformer\.wpe\.weight", "decoder.position.table.weight"),
    (r"transformer\.ln_f\.(\w+)", r"decoder.final_norm.\1"),
    (r"lm_head\.weight", "task.head.weight"),
    (LAYER + r"ln_1\.(\w+)", BLOCK + r"attention_residual.norm.\2"),
    (LAYER + r"ln_2\.(\w+)", BLOCK + r"ffn_residual.norm.\2"),
    (LAYER + r"attn\.([qkv])\.(\w+)", BLOCK + r"attention.\2.\3"),
    (LAYER + r"attn\.c_proj\.(\w+)", BLOCK + r"attention.out.\2"),
    (LAYER + r"mlp\.c_fc\.(\w+)", BLOCK + r"ffn.up.0.\2"),
    (LAYER + r"mlp\.c_proj\.(\w+)", BLOCK + r"ffn.down.\2"),
)


def convert(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of Hugging Face under our names and in our shapes."""
    parted: dict[str, Tensor] = {}
    for name, weight in theirs.items():
        turned = weight.mT if ".c_" in name and weight.ndim == 2 else weight
        if ".c_attn." in name:
            for letter, part in zip("qkv", turned.chunk(3), strict=True):
                parted[name.replace("c_attn", letter)] = part
        else:
            parted[name] = turned
    return renamed(parted, RULES)
