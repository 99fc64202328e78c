"""One target per row, with each kind of model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2ForSequenceClassification

from lightning_transformer.convert.families.gpt2 import convert
from lightning_transformer.data.examples import Labelled
from lightning_transformer.models.size import measure
from lightning_transformer.tasks.pooled import LabelRows
from tests.conftest import LABELS, tiny
from tests.unit.convert.reference import N_TOKENS, SEQ_LEN, TOLERANCE, randomised

MODELS = ("decoder_only", "encoder_only", "encoder_decoder")
ROWS = [Labelled(np.arange(97, 97 + n), n % 3) for n in (5, 9, 1, 9)]


def logits(model: Any, rows: list[Labelled], n_pads: int = 0) -> Tensor:
    """(B, C), with so many pads more behind every row."""
    batch = model.task.collator("val")(rows, [0] * len(rows))
    if n_pads:
        ids = batch.input_ids if batch.source_ids is None else batch.source_ids
        padding = batch.padding if batch.source_ids is None else batch.source_padding
        more = (len(ids), n_pads)
        ids = torch.cat((ids, torch.full(more, model.task.vocabulary.pad_id)), dim=1)
        padding = torch.cat((padding, torch.ones(more, dtype=torch.bool)), dim=1)
        named = ("input_ids", "padding") if batch.source_ids is None else SOURCE
        batch = batch._replace(**dict(zip(named, (ids, padding), strict=True)))
    with torch.no_grad():
        return model.task.scores(model.features(batch), batch)[0]


SOURCE = ("source_ids", "source_padding")


@pytest.mark.parametrize("pooling", ["last", "mean", "cls"])
@pytest.mark.parametrize("model", MODELS)
def test_pads_and_neighbours_change_nothing(model: str, pooling: str) -> None:
    """Or the pair is refused, in one line with what goes."""
    chosen = (f"model={model}", "task=classification", f"pooling={pooling}")
    if model != "encoder_only" and (pooling == "cls" or (model, pooling) == (MODELS[2], "mean")):
        with pytest.raises(ValueError, match=rf"^pooling={pooling} .*; use pooling=last"):
            tiny(*chosen)
        return
    net: Any = tiny(*chosen)
    together = logits(net, ROWS)
    torch.testing.assert_close(logits(net, ROWS, n_pads=4), together, rtol=0, atol=1e-12)
    alone = torch.cat([logits(net, [row]) for row in ROWS])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)
    assert (together[1] - together[3]).abs().max() == 0
    assert (together[0] - together[1]).abs().max() > 1e-4


def test_an_encoder_decoder_reads_the_row_as_its_source_and_one_token() -> None:
    model: Any = tiny("model=encoder_decoder", "task=classification")
    words = model.task.vocabulary
    batch = model.task.collator("train")(ROWS[:2], [0, 0])
    assert batch.input_ids.tolist() == [[words.bos_id], [words.bos_id]]
    assert batch.padding is None
    assert batch.source_ids[0, :5].tolist() == [97, 98, 99, 100, 101]
    assert batch.source_padding.sum(dim=1).tolist() == [4, 0]
    assert (int(batch.n_targets), batch.n_tokens) == (2, 5 + 9 + 2)
    assert batch.labels.tolist() == [2, 0]


def test_the_last_state_number_by_number() -> None:
    """One causal layer of one head, without norms: attention and the layers behind it in loops."""
    model: Any = tiny(
        *("task=classification", "model.n_layers=1", "attention.n_heads=1", "norm=none"),
        *("attention.n_kv_heads=1", "qk_norm=none", "position=none", "activation=relu"),
    )
    block, ids = model.decoder.blocks[0], ROWS[0].ids.tolist()
    layer, d = block.attention, 32
    x = [model.embedding.weight[i].tolist() for i in ids]
    q = dot(layer.q.weight, x[-1])
    keys, values = ([dot(w.weight, row) for row in x] for w in (layer.k, layer.v))
    powers = [math.exp(sum(a * b for a, b in zip(q, k, strict=True)) / math.sqrt(d)) for k in keys]
    mean = [
        sum(p * v[i] for p, v in zip(powers, values, strict=True)) / sum(powers) for i in range(d)
    ]
    h = [a + b for a, b in zip(x[-1], dot(layer.out.weight, mean), strict=True)]
    hidden = [max(0.0, y) for y in dot(block.ffn.up[0].weight, h)]
    h = [a + b for a, b in zip(h, dot(block.ffn.down.weight, hidden), strict=True)]
    wanted = torch.tensor(dot(model.task.head.weight, h), dtype=torch.float64)
    if model.task.head.bias is not None:
        wanted += model.task.head.bias.detach()
    torch.testing.assert_close(logits(model, ROWS)[0], wanted, rtol=0, atol=1e-12)


def dot(weight: Tensor, x: list[float]) -> list[float]:
    return [sum(w * v for w, v in zip(row, x, strict=True)) for row in weight.tolist()]


def test_equals_the_classifier_of_hugging_face() -> None:
    """GPT2ForSequenceClassification, whose logits are those of the last token that is no pad."""
    net: Any = tiny("preset=gpt2", "task=classification")
    pad_id = net.task.vocabulary.pad_id
    config = GPT2Config(
        vocab_size=N_TOKENS,
        n_positions=SEQ_LEN,
        n_embd=32,
        n_layer=2,
        n_head=4,
        num_labels=len(LABELS),
        pad_token_id=pad_id,
        attn_implementation="eager",
    )
    theirs: Any = randomised(GPT2ForSequenceClassification(config))
    weights = convert({n: w for n, w in theirs.state_dict().items() if n != "score.weight"}, {})
    missing, unexpected = net.load_state_dict(weights, strict=False)
    assert (set(missing), unexpected) == ({n for n in missing if n.startswith("task.head")}, [])
    with torch.no_grad():
        net.task.head.weight.copy_(theirs.score.weight)
        if net.task.head.bias is not None:
            net.task.head.bias.zero_()
        batch = net.task.collator("val")(ROWS, [0] * 4)
        wanted = theirs(batch.input_ids, attention_mask=(~batch.padding).long()).logits
    assert float(wanted.std(dim=-1).min()) > 0.1
    torch.testing.assert_close(logits(net, ROWS), wanted.double(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("task", ["classification", "regression", "tagging"])
def test_a_prefix_hides_no_target(task: str) -> None:
    model: Any = tiny("pattern=prefix", "pattern.n_prefix=4", f"task={task}")
    assert model.n_prefix == 4


def test_flops_of_one_state_that_reads_a_source() -> None:
    """16 tokens through the encoder; in the decoder one token, and keys and values of 16."""
    d, hidden, n, n_classes = 32, 128, 16, len(LABELS)
    plain = ("qk_norm=none", "activation=gelu")
    model = tiny("model=encoder_decoder", "task=classification", *plain)
    attention, ffn = 4 * d * d, 2 * d * hidden
    encoder = n * 2 * (2 * (attention + ffn) + 4 * d * n)
    decoder = 2 * (2 * (attention + ffn) + 4 * d + 2 * 2 * d * d + n * 2 * 2 * d * d + 4 * d * n)
    per_row = encoder + decoder + 2 * d * n_classes
    assert measure(model, n).flops_per_token == pytest.approx(3 * per_row / (n + 1), rel=1e-9)


def test_rows_of_the_collator_are_those_of_each_kind() -> None:
    batch = LabelRows([7], pad_id=256, start_id=257)(ROWS[2:3], [0])
    assert batch.source_ids is not None
    assert (batch.source_ids.tolist(), batch.input_ids.tolist()) == ([[7, 97]], [[257]])
    assert batch.labels.dtype == torch.long
