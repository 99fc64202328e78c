"""Mamba-2 (`Mamba2ForCausalLM`): preset=mamba2. Its first projection is five of ours in one."""

from collections.abc import Mapping

from torch import Tensor

from lightning_transformer.convert.names import Rules, renamed

LAYER = r"backbone\.layers\.(\d+)\."
BLOCK = r"decoder.blocks.\1."
RULES: Rules = (
    (r"backbone\.embeddings\.weight", "embedding.weight"),
    (r"backbone\.norm_f\.weight", "decoder.final_norm.weight"),
    (r"lm_head\.weight", "task.head.weight"),
    (LAYER + r"norm\.weight", BLOCK + "attention_residual.norm.weight"),
    (LAYER + r"mixer\.(A_log|dt_bias)", BLOCK + r"attention.\2"),
    (LAYER + r"mixer\.D", BLOCK + "attention.skip"),
    (LAYER + r"mixer\.norm\.weight", BLOCK + "attention.gain"),
    (LAYER + r"mixer\.conv1d\.(\w+)", BLOCK + r"attention.conv.\2"),
    (LAYER + r"mixer\.([zubc]|dt)\.(\w+)", BLOCK + r"attention.\2.\3"),
    (LAYER + r"mixer\.out_proj\.(\w+)", BLOCK + r"attention.out.\2"),
)


def convert(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of Hugging Face under our names and in our shapes."""
    parted: dict[str, Tensor] = {}
    for name, weight in theirs.items():
        if ".in_proj." in name:
            layer = name.split("mixer.")[0] + "mixer."
            inner = theirs[f"{layer}norm.weight"].shape[0]
            n_heads = theirs[f"{layer}D"].shape[0]
            shared = (weight.shape[0] - 2 * inner - n_heads) // 2
            parts = weight.split((inner, inner, shared, shared, n_heads))
            for letter, part in zip(("z", "u", "b", "c", "dt"), parts, strict=True):
                parted[name.replace("in_proj", letter)] = part
        else:
            parted[name] = weight.squeeze(1) if "conv1d.weight" in name else weight
    return renamed(parted, RULES)
