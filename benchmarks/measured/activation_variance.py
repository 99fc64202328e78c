"""The variance of the residual stream over depth, before the first step."""

import torch

from benchmarks.measured.page import Line, Page, config, figure
from lightning_transformer.build import build_model
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.tasks.base import Batch

INITS = ("xavier", "kaiming", "depth_scaled", "fixup")
STYLES = {"no norm": ("norm=none", "residual=pre_norm"), "pre-norm": ("norm=layernorm",
          "residual=pre_norm"), "post-norm": ("norm=layernorm", "residual=post_norm")}  # fmt: skip


def variances(init: str, style: str, *, n_layers: int = 24, d_model: int = 128) -> list[float]:
    """After the embedding and after each layer, over tokens and channels, of random bytes."""
    sizes = (f"model.n_layers={n_layers}", f"model.d_model={d_model}", "data.seq_len=64")
    more = ("qk_norm=none", "activation=gelu", "init.embedding_std=1.0", "optimizer=adamw")
    cfg = config(f"init={init}", *STYLES[style], *sizes, *more)
    model = build_model(cfg, vocabulary=ByteVocabulary(), labels=[], seed=1).eval()
    seen: list[float] = []
    for block in model.decoder.blocks:
        if not seen:
            block.register_forward_pre_hook(lambda _, given: seen.append(float(given[0].var())))
        block.register_forward_hook(lambda _, given, out: seen.append(float(out.var())))
    ids = torch.randint(256, (8, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.features(Batch(ids, ids, torch.tensor(ids.numel()), ids.numel()))
    return seen


def main() -> None:
    rows = [["initial weights", "norms", "embedding", "layer 6", "layer 12", "layer 24"]]
    lines = []
    for style in STYLES:
        for init in INITS:
            found = variances(init, style)
            rows.append([init, style, *(f"{found[i]:.3g}" for i in (0, 6, 12, 24))])
            lines.append(Line(f"{init}, {style}", range(len(found)), found))
    Page(
        "activation_variance",
        "How does the variance of activations grow with depth?",
        "Weights drawn by fan-in and fan-out keep variances equal (Glorot and Bengio 2010; He et "
        "al. 2015); residual sums make them grow with depth all the same, which norms or weights "
        "scaled by depth prevent (Radford et al. 2019; Zhang et al. 2019).",
        rows,
        "Without norms the variance grows by a factor at each layer: to 1e5 times after 24 layers "
        "with Xavier weights and 1e14 times with He weights, which are made for networks without "
        "residual sums. Pre-norm makes the growth linear, post-norm stops it, and small (std "
        "0.02) depth-scaled weights or Fixup add so little to the stream at the start that it is "
        "nearly independent of depth.",
        figure("layer", "variance of the residual stream", lines, log_y=True),
    ).write()


if __name__ == "__main__":
    main()
