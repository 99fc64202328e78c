"""The table of a model's parts."""

import io

from rich.console import Console

from lightning_transformer.models.size import measure
from lightning_transformer.models.summary import summary
from tests.conftest import tiny

PLAIN = ("norm=rmsnorm", "qk_norm=none", "activation=gelu", "tie_embeddings=false")


def shown(*overrides: str) -> str:
    model = tiny(*overrides)
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(summary(model, measure(model, 16), (4, 16)))
    return console.file.getvalue()


def test_every_part_with_its_parameters() -> None:
    text = shown(*PLAIN, "model.n_layers=3")
    lines = {line.split("  ")[0]: line.split() for line in text.splitlines() if line.strip()}
    assert lines["embedding"][-1] == "8,384"
    assert lines["decoder: 3 x Sequential"][-1] == f"{3 * (4 * 32**2 + 2 * 32 * 128 + 64) + 32:,}"
    assert lines["head"][-1] == "8,384"
    assert lines["all"][-1] == f"{2 * 8384 + 3 * (4 * 32**2 + 2 * 32 * 128 + 64) + 32:,}"
    assert "(4, 16, 32)" in text


def test_a_tied_head_has_none_of_its_own() -> None:
    (line,) = [line for line in shown("tie_embeddings=true").splitlines() if "head" in line]
    assert line.startswith("head (tied)")
    assert line.split()[-1] == "0"


def test_both_stacks_of_an_encoder_decoder() -> None:
    text = shown("model=encoder_decoder")
    assert "encoder: 2 x Sequential" in text
    assert "decoder: 2 x Sequential" in text
    assert "cross: MultiHeadAttention" in text
    assert "source embedding" not in text


def test_a_table_of_the_source() -> None:
    text = shown("model=encoder_decoder", "model.share_embeddings=false")
    lines = [line for line in text.splitlines() if "embedding" in line]
    assert [line.split("  ")[0] for line in lines] == ["embedding", "source embedding"]
    assert lines[1].split()[-1] == "8,384"
    assert "(4, 16, 32)" in lines[1]


def test_a_factorised_table_and_its_head() -> None:
    lines = shown("embedding=factorised", "embedding.rank=8").splitlines()
    (first,) = [line for line in lines if line.startswith("embedding")]
    assert "(4, 16, 32)" in first
    assert first.split()[-1] == f"{8 * (262 + 32):,}"
    assert any(line.startswith("head (tied)") and line.split()[-1] == "0" for line in lines)
