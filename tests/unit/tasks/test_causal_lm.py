"""task=causal_lm."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightning_transformer.data.encode import documents
from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.packing.documents import Documents
from lightning_transformer.data.packing.stream import Stream
from lightning_transformer.data.split import Record
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.data.tokenizers.characters import Characters
from lightning_transformer.nn.loss.cross_entropy import CrossEntropy
from lightning_transformer.tasks import causal_lm
from lightning_transformer.tasks.base import Batch
from lightning_transformer.tasks.causal_lm import CausalLM, NextToken, first_half
from tests.conftest import noise, tiny


class Syllables(ByteVocabulary):
    """Like bytes, but id i stands for i % 5 bytes of text."""

    @property
    def id_bytes(self) -> np.ndarray:
        return np.arange(self.size, dtype=np.int64) % 5


def make(vocabulary: Any = None, **options: Any) -> CausalLM:
    task = CausalLM(loss=CrossEntropy(), **options)
    words = vocabulary or ByteVocabulary()
    task.build(d_model=8, vocabulary=words, labels=(), embedding=nn.Embedding(words.size, 8))
    return task.double()


def test_the_target_of_a_token_is_the_next_one() -> None:
    rows = [Tokens(np.array([1, 2, 3, 4])), Tokens(np.array([5, 6, 7, 8]))]
    batch = NextToken(pad_id=0)(rows, [0, 0])
    assert batch.input_ids.tolist() == [[1, 2, 3], [5, 6, 7]]
    assert batch.labels.tolist() == [[2, 3, 4], [6, 7, 8]]
    assert (int(batch.n_targets), batch.n_tokens, batch.padding) == (6, 6, None)


def test_a_short_last_row_has_no_targets_in_its_pads() -> None:
    rows = [Tokens(np.array([1, 2, 3, 4])), Tokens(np.array([5, 6]))]
    batch = NextToken(pad_id=9)(rows, [0, 0])
    assert batch.input_ids.tolist() == [[1, 2, 3], [5, 6, 9]]
    assert batch.labels.tolist() == [[2, 3, 4], [6, -100, -100]]
    assert (int(batch.n_targets), batch.n_tokens) == (4, 4)


def test_the_start_token_of_a_document_is_the_end_of_the_one_before() -> None:
    rows = [Tokens(np.array([9, 1, 9, 3, 4, 9]), np.array([0, 0, 1, 1, 1, 2]))]
    batch = NextToken(pad_id=8)(rows, [0])
    assert batch.labels.tolist() == [[1, 9, 3, 4, 9]]
    assert batch.documents.tolist() == [[0, 0, 1, 1, 1]]
    assert int(batch.n_targets) == 5


def test_documents_of_a_short_last_row() -> None:
    rows = [Tokens(np.arange(4), np.zeros(4)), Tokens(np.arange(3), np.array([0, 1, 1]))]
    batch = NextToken(pad_id=9)(rows, [0, 0])
    assert batch.documents.tolist() == [[0, 0, 0], [0, 1, 1]]
    assert batch.labels.tolist() == [[1, 2, 3], [1, 2, -100]]


@pytest.mark.parametrize(("shift", "loss"), [(0, 50), (1, 0), (2, 50)])
def test_targets_are_shifted_once(shift: int, loss: float) -> None:
    """Scores of a model that is sure of the token `shift` places on."""
    row = np.arange(40) * 7 % 251
    batch = NextToken(pad_id=256)([Tokens(row)], [0])
    sure = torch.from_numpy((row[:-1] + 7 * shift) % 251)
    scores = 50.0 * nn.functional.one_hot(sure, 262).double()
    sums = CrossEntropy()(scores, batch.labels.flatten())
    assert float(sums.nll / batch.n_targets) == pytest.approx(loss, abs=1e-9)


def evaluated(task: CausalLM, batches: list[tuple[Tensor, Batch]]) -> dict[str, float]:
    metrics = nn.ModuleDict(task.metrics())
    with torch.no_grad():
        for features, batch in batches:
            task.update(metrics, features, batch)
        return {name: float(v) for name, v in task.compute(metrics).items()}


def batches(task: CausalLM) -> list[tuple[Tensor, Batch]]:
    """Two batches of different size and difficulty."""
    found = []
    for n, length, size in ((5, 9, 0.1), (1, 4, 20.0)):
        rows = [Tokens(noise(length, seed=i).abs().mul(50).long().numpy()) for i in range(n)]
        batch = task.collator("val")(rows, [0] * n)
        found.append((size * noise(n, length - 1, 8), batch))
    return found


def total_nats(task: CausalLM, batches: list[tuple[Tensor, Batch]]) -> float:
    nats = 0.0
    for features, batch in batches:
        scores = (features @ task.head.weight.T).log_softmax(-1).detach()
        nats -= float(scores.gather(-1, batch.labels[..., None]).sum())
    return nats


def test_perplexity_is_exp_of_all_nats_over_all_tokens() -> None:
    task = make()
    loss = total_nats(task, batches(task)) / (5 * 8 + 3)
    values = evaluated(task, batches(task))
    assert values["loss"] == pytest.approx(loss, rel=1e-9)
    assert values["perplexity"] == pytest.approx(math.exp(loss), rel=1e-9)


def test_bits_per_byte_divide_by_the_bytes_of_the_targets() -> None:
    task = make(Syllables())
    n_bytes = sum(int((batch.labels % 5).sum()) for _, batch in batches(task))
    assert n_bytes > 5 * 8 + 3
    wanted = total_nats(task, batches(task)) / math.log(2) / n_bytes
    assert evaluated(task, batches(task))["bits_per_byte"] == pytest.approx(wanted, rel=1e-9)


def test_end_of_text_is_a_target_without_bytes() -> None:
    words, task = ByteVocabulary(), make()
    batch = task.collator("val")([Tokens(np.array([65, 66, words.eos_id]))], [0])
    values = evaluated(task, [(noise(1, 2, 8), batch)])
    assert int(batch.n_targets) == 2
    assert values["bits_per_byte"] == pytest.approx(2 * values["loss"] / math.log(2), rel=1e-9)


def test_unknown_targets_count_the_bytes_of_the_text_they_stand_for() -> None:
    """Three letters, of which training has not seen é and 日 (2 and 3 bytes)."""
    words = Characters().train(["ab"])
    task = make(words)
    records = [Record(("aébaé日",))]
    rows = documents("test", records, words, Stream(), seq_len=8)
    assert rows.unknown_bytes == pytest.approx((2 + 2 + 3) / 3)
    task.learn_splits({"test": rows})
    batch = task.collator("test")([rows.get(0, 0)], [0])
    values = evaluated(task, [(noise(1, batch.labels.shape[1], 8), batch)])
    n_targets, n_bytes = int(batch.n_targets), len("aébaé日".encode())
    assert values["bits_per_byte"] == pytest.approx(
        values["loss"] * n_targets / math.log(2) / n_bytes, rel=1e-9
    )
    nobody_tells = task.collator("val")([rows.get(0, 0)], [0])
    values = evaluated(task, [(noise(1, batch.labels.shape[1], 8), nobody_tells)])
    assert math.isnan(values["bits_per_byte"])


def test_ignored_targets_have_no_bytes() -> None:
    task = make()
    row = Tokens(np.array([65, 66, 67, 68]), np.array([0, 0, 1, 1]))
    batch = task.collator("val")([row], [0])
    values = evaluated(task, [(noise(1, 3, 8), batch)])
    assert values["bits_per_byte"] == pytest.approx(values["loss"] / math.log(2), rel=1e-9)


@pytest.mark.parametrize("tied", [True, False])
def test_tied_embeddings_are_one_tensor_and_stay_it(tied: bool) -> None:
    def is_tied(model: Any) -> bool:
        return model.task.head.weight is model.embedding.weight

    overrides = ("model=decoder_only", f"tie_embeddings={str(tied).lower()}")
    model, other = tiny(*overrides), tiny(*overrides, dtype=torch.float32)
    assert is_tied(model) == is_tied(copy.deepcopy(model)) == is_tied(model.float()) == tied
    other.load_state_dict(model.state_dict())
    assert is_tied(other) == tied
    in_optimizer = [p for g in model.make_optimizer(model).param_groups for p in g["params"]]
    assert sum(p is model.embedding.weight for p in in_optimizer) == 1
    assert len(in_optimizer) == len(list(model.parameters()))


def test_samples_show_the_beginning_and_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = tiny("model=decoder_only")
    example = Tokens(np.frombuffer(b"abcdefgh", dtype=np.uint8))

    def sample_tokens(_: Any, rows: Any, **_options: Any) -> list[list[int]]:
        assert 0 < len(rows[0]) < 8
        assert bytes(rows[0]) == b"abcdefgh"[: len(rows[0])]
        return [[67, 68]]

    monkeypatch.setattr(causal_lm, "sample_tokens", sample_tokens)
    (sample,) = model.task.demonstrate(model, [example])
    assert "abcdefgh".startswith(sample.given)
    assert (sample.output, sample.expected) == ("CD", "")


@pytest.mark.parametrize("tied", [True, False])
def test_the_bias_of_the_output_layer_starts_at_zero(tied: bool) -> None:
    # A tied weight belongs to the embedding, and its bias was once forgotten along with it.
    model = tiny("model=decoder_only", "task.bias=true", f"tie_embeddings={str(tied).lower()}")
    assert model.task.head.bias.shape == (model.task.vocabulary.size,)
    assert not model.task.head.bias.any()


def test_losses_of_packed_and_separate_documents_are_over_the_same_targets() -> None:
    """Logits and gradients are equal too, and the first token of each document is trained."""
    model: Any = tiny("task=causal_lm").double()
    words = ByteVocabulary()
    texts = [words.encode(text) for text in ("Zab", "Z", "Zcdef")]
    size = sum(len(text) + 1 for text in texts)
    packed, stream = (
        kind().pack(texts, seq_len=size, eos_id=words.eos_id, training=True).get(0, 0)
        for kind in (Documents, Stream)
    )
    alone = [
        Stream().pack([text], seq_len=len(text) + 1, eos_id=words.eos_id, training=True).get(0, 0)
        for text in texts
    ]
    collate = model.task.collator("train")

    def scores_and_gradients(rows: list[Tokens]) -> tuple[Tensor, Tensor, Tensor]:
        model.zero_grad()
        batches = [collate([row], [0]) for row in rows]
        features = [model.features(batch) for batch in batches]
        sum(model.task(f, b).objective for f, b in zip(features, batches, strict=True)).backward()
        found = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        scores = torch.cat([model.task.head(f[0]) for f in features])
        return scores.detach(), torch.cat([b.labels[0] for b in batches]), torch.cat(found)

    together, separate = scores_and_gradients([packed]), scores_and_gradients(alone)
    for a, b in zip(together, separate, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    assert collate([stream], [0]).labels.tolist() == [together[1].tolist()]
    assert together[1].tolist().count(ord("Z")) == 3


def test_a_sample_goes_on_from_the_last_document_of_its_half() -> None:
    numbers = np.array([0, 0, 1, 1, 1, 2])
    row = Tokens(np.array([9, 1, 9, 3, 4, 9]), numbers)
    assert first_half(row, 1).tolist() == [9]
    assert first_half(row, 4).tolist() == [9, 3]
    assert first_half(Tokens(row.ids), 1).tolist() == [9, 1, 9]
