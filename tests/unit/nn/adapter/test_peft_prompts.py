"""Vectors, keys and values before each row against peft, on a Llama of float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from lightning_transformer.convert.families.llama import convert
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.adapter.base import merge_adapters, train_only
from lightning_transformer.nn.adapter.prefix import prefix
from lightning_transformer.nn.adapter.prompt import prompt
from lightning_transformer.tasks.base import Batch
from tests.unit.convert.families.test_llama import SIZES
from tests.unit.convert.reference import IDS, ours, randomised
from tests.unit.nn.adapter.test_peft import CLOSE, assert_same_course, logits_of, loss

N = 3
CASES = {"prompt": (PromptTuningConfig, prompt), "prefix": (PrefixTuningConfig, prefix)}


def both(kind: str) -> tuple[Any, Transformer]:
    """The same Llama with the same vectors, keys or values, from peft and from here."""
    config, add = CASES[kind]
    rope = {"rope_type": "default", "rope_theta": 500000.0}
    theirs = randomised(LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=rope)), std=0.1)
    mine = ours("llama3", theirs, convert)
    train_only(mine, add(mine, seed=1, n_tokens=N).trained or (), new=())
    theirs = get_peft_model(theirs, config(task_type="CAUSAL_LM", num_virtual_tokens=N)).double()
    with torch.no_grad():
        table = their_table(theirs)
        generator = torch.Generator().manual_seed(0)
        table.copy_(torch.randn(table.shape, generator=generator, dtype=torch.float64))
        for one, other in zip(mine_of(mine), theirs_of(kind, table, mine), strict=True):
            one.copy_(other)
    return theirs, mine


def their_table(theirs: Any) -> Tensor:
    table = theirs.prompt_encoder["default"].embedding.weight
    assert isinstance(table, Tensor)
    return table


def mine_of(mine: Transformer) -> list[Tensor]:
    """What is trained, in the order of the layers, keys before values."""
    return [p for p in mine.parameters() if p.requires_grad]


def theirs_of(kind: str, table: Tensor, mine: Transformer) -> list[Tensor]:
    """A row of peft's table holds the keys and values of all layers."""
    return list(table.chunk(len(mine_of(mine)), dim=1)) if kind == "prefix" else [table]


@pytest.mark.parametrize("kind", CASES)
def test_scores_gradients_and_steps_are_those_of_peft(kind: str) -> None:
    theirs, mine = both(kind)

    def reference() -> Tensor:
        """Scores of the row, without those of what stands before it."""
        logits = theirs(IDS).logits
        assert isinstance(logits, Tensor)
        return logits[:, -IDS.shape[1] :]

    logits = logits_of(mine)
    assert float((logits - reference()).detach().abs().max()) < CLOSE
    with torch.no_grad(), theirs.disable_adapter():
        assert float((logits - theirs(IDS).logits).abs().max()) > 0.01
    loss(logits).backward()
    loss(reference()).backward()
    expected = their_table(theirs).grad
    assert expected is not None
    for one, other in zip(mine_of(mine), theirs_of(kind, expected, mine), strict=True):
        assert one.grad is not None
        assert float((one.grad - other).abs().max()) < CLOSE
    assert_same_course(mine, theirs, reference)
    with pytest.raises(ValueError, match=r"cannot be merged into a layer's weights$"):
        merge_adapters(mine)


@pytest.mark.parametrize("kind", CASES)
@torch.no_grad()
def test_decoding_with_a_cache_and_pads_on_the_left_is_the_whole_pass(kind: str) -> None:
    _, mine = both(kind)
    rows = [IDS[0, :5].numpy(), IDS[1, :3].numpy()]
    state, ids, padding = mine.begin(rows)
    last = [mine.decode(ids, state, padding)[:, -1]]
    last += [mine.decode(IDS[:2, n : n + 1], state)[:, -1] for n in (5, 6)]
    for number, row in enumerate(rows):
        whole = torch.cat((torch.from_numpy(row), IDS[number, 5:7]))
        features = mine.features(Batch.without_labels(whole[None]))[0]
        for step, found in enumerate(last):
            wanted = features[len(row) - 1 + step]
            assert float((found[number] - wanted).abs().max()) < 1e-9
