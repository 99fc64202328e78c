"""task=seq2seq."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_transformer.data.examples import Pair
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.tasks import continuations
from lightning_transformer.tasks.base import Sample
from lightning_transformer.tasks.seq2seq import Seq2Seq, TeacherForcing
from tests.conftest import tiny
from tests.unit.tasks.drawn import examples
from tests.unit.tasks.metrics.texts import command_line

WORDS = ByteVocabulary()
BOS, EOS, PAD = WORDS.bos_id, WORDS.eos_id, WORDS.pad_id


def pair(source: str, target: str) -> Pair:
    return Pair(WORDS.encode(source), WORDS.encode(target))


def test_the_decoder_reads_the_target_one_place_late() -> None:
    rows = [Pair(np.array([1, 2]), np.array([3, 4, 5])), Pair(np.array([6]), np.array([7]))]
    batch = TeacherForcing(BOS, EOS, PAD)(rows, [0, 0])
    assert batch.source_ids.tolist() == [[1, 2, EOS], [6, EOS, PAD]]
    assert batch.source_padding.tolist() == [[False] * 3, [False, False, True]]
    assert batch.input_ids.tolist() == [[BOS, 3, 4, 5], [BOS, 7, PAD, PAD]]
    assert batch.labels.tolist() == [[3, 4, 5, EOS], [7, EOS, -100, -100]]
    assert batch.padding is None
    assert (int(batch.n_targets), batch.n_tokens) == (6, 5 + 6)


def test_an_empty_side_still_has_its_end() -> None:
    batch = TeacherForcing(BOS, EOS, PAD)([Pair(np.array([], int), np.array([], int))], [0])
    assert batch.source_ids.tolist() == [[EOS]]
    assert (batch.input_ids.tolist(), batch.labels.tolist()) == ([[BOS]], [[EOS]])


def test_texts_are_compared_with_whole_targets() -> None:
    """Also what is too long for the model to read, and cut within a character."""
    whole = "the target é and what is too long for a row"
    ids = WORDS.encode(whole)
    at = len(b"the target ") + 1  # within é
    cut = Pair(WORDS.encode("x"), ids[:at], rest=ids[at:])
    model: Any = tiny("model=encoder_decoder")
    batch = model.task.collator("test")([cut, pair("y", "short")], [0, 0])
    plain = model.task.collator("test")([cut._replace(rest=None), pair("y", "short")], [0, 0])
    assert plain.rests is None
    for field in ("input_ids", "labels", "source_ids", "n_targets"):
        assert torch.equal(getattr(batch, field), getattr(plain, field))
    metrics = nn.ModuleDict(model.task.metrics())
    _, targets = model.task._to_score(batch, metrics, "test", (0, 1))
    assert [model.task.vocabulary.decode(row) for row in targets] == [whole, "short"]


def test_pads_change_neither_loss_nor_gradients() -> None:
    model: Any = tiny("model=encoder_decoder")
    batch = model.task.collator("train")(examples(Pair, 4), [0] * 4)
    stacks = [*model.encoder.parameters(), *model.decoder.parameters()]

    def gradients(fill: int) -> list[torch.Tensor]:
        changed = batch._replace(
            input_ids=batch.input_ids.masked_fill(batch.input_ids == PAD, fill),
            source_ids=batch.source_ids.masked_fill(batch.source_padding, fill),
        )
        loss = model.task(model.features(changed), changed).objective
        return [loss, *torch.autograd.grad(loss, stacks)]

    assert (batch.input_ids == PAD).any()
    for a, b in zip(gradients(PAD), gradients(42), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


class Scripted:
    """Says what it was told to, up to each row's limit, and counts how often it was asked."""

    def __init__(self, outputs: list[str]) -> None:
        self.outputs, self.asked, self.lengths = list(outputs), [], []

    def __call__(self, _: Any, rows: Any, *, max_new_tokens: int, **_options: Any) -> Any:
        self.asked.append([row.tolist() for row in rows])
        self.lengths += max_new_tokens
        return [WORDS.encode(self.outputs.pop(0)).tolist()[:n] for n in max_new_tokens]


def evaluated(
    pairs: list[Pair],
    outputs: list[str],
    n: int,
    cuts: list[int],
    ranks: tuple[int, int] = (0, 1),
    split: str = "val",
) -> tuple[Any, Any]:
    task: Any = tiny("model=encoder_decoder", f"task.n_generated={n}").task
    metrics, generate_tokens = nn.ModuleDict(task.metrics()), Scripted(outputs)
    for first, last in itertools.pairwise(cuts):
        batch = task.collator("val")(pairs[first:last], [0] * (last - first))
        features = torch.zeros(*batch.input_ids.shape, 32, dtype=torch.float64)
        task.update(metrics, features, batch)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(continuations, "generate_tokens", generate_tokens)
            task.generate_metrics(SimpleNamespace(data_ranks=ranks), batch, metrics, split)
    return {name: float(v) for name, v in task.compute(metrics).items()}, generate_tokens


def words(n: int, seed: int) -> list[str]:
    chosen = random.Random(seed)
    return [
        "".join(chosen.choice("abcde .") for _ in range(chosen.randint(1, 30))) for _ in range(n)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_chrf_is_that_of_sacrebleu(seed: int) -> None:
    chrf = pytest.importorskip("sacrebleu").CHRF(word_order=0)
    sources, targets, outputs = words(9, seed), words(9, seed + 10), words(9, seed + 20)
    pairs = [pair(s, t) for s, t in zip(sources, targets, strict=True)]
    values, _ = evaluated(pairs, outputs, 64, [0, 4, 8, 9])
    # The end token counts as one of the source's.
    cut = [
        output[: 2 * (len(source) + 1) + 32]
        for output, source in zip(outputs, sources, strict=True)
    ]
    wanted = chrf.corpus_score(cut, [targets]).score
    of_source = chrf.corpus_score(sources, [targets]).score
    assert values["chrf"] == pytest.approx(wanted, abs=1e-4)
    assert values["chrf_of_source"] == pytest.approx(of_source, abs=1e-4)


def test_only_the_first_examples_are_generated() -> None:
    pairs = [Pair(np.arange(i + 1), WORDS.encode(f"t{i}")) for i in range(8)]
    values, generate_tokens = evaluated(pairs, ["t0", "t1", "x", "t3", "x"], 5, [0, 3, 6, 8])
    # Sources with their ends, and without the pads that made them equally long.
    sources = [[*range(i + 1), EOS] for i in range(5)]
    assert generate_tokens.asked == [sources[:3], sources[3:]]
    assert values["exact_match"] == pytest.approx(3 / 5)


def test_all_examples_of_a_test_are_generated() -> None:
    pairs = [Pair(np.arange(i + 1), WORDS.encode(f"t{i}")) for i in range(8)]
    _, generate_tokens = evaluated(pairs, ["x"] * 8, 5, [0, 3, 6, 8], split="test")
    assert sum(map(len, generate_tokens.asked)) == 8
    values, generate_tokens = evaluated(pairs, [], 0, [0, 8], split="test")
    assert (list(values), generate_tokens.asked) == (["loss"], [])


def test_line_breaks_count_as_spaces_as_in_a_file_of_lines(tmp_path: Path) -> None:
    sources, targets = ["x"] * 2, ["one two\nthree four", "five six, seven eight nine"]
    outputs = ["one two\nthree.", "five six seven\neight nine"]
    pairs = [pair(s, t) for s, t in zip(sources, targets, strict=True)]
    values, _ = evaluated(pairs, outputs, 64, [0, 2])
    lines = [[" ".join(text.split("\n")) for text in texts] for texts in (outputs, targets)]
    for name in ("bleu", "chrf", "ter"):
        theirs = command_line(*lines, name, tmp_path)
        assert values[name] == pytest.approx(theirs["score"], abs=1e-4)


def test_signatures_name_each_score_of_text() -> None:
    task: Any = tiny("model=encoder_decoder").task
    assert list(task.signatures()) == ["bleu", "chrf", "ter", "rouge1", "rouge2", "rougel"]
    assert set(task.signatures()) < set(task.metrics())
    assert tiny("model=encoder_decoder", "task.n_generated=0").task.signatures() == {}


@pytest.mark.parametrize(("rank", "n_own"), [(0, 3), (1, 2)])
def test_processes_together_generate_as_many_as_one(rank: int, n_own: int) -> None:
    pairs = [Pair(np.arange(i + 1), WORDS.encode(f"t{i}")) for i in range(8)][rank::2]
    _, generate_tokens = evaluated(pairs, ["x"] * n_own, 5, [0, 2, 4], ranks=(rank, 2))
    assert sum(map(len, generate_tokens.asked)) == n_own


def test_an_output_without_an_end_is_cut_whatever_shares_its_batch() -> None:
    """As many processes as there are examples put each into a batch of its own."""
    pairs = [pair("ab", "cd"), pair("a" * 40, "c" * 40)]
    together, _ = evaluated(pairs, ["c" * 100, "c" * 100], 5, [0, 2])
    apart, _ = evaluated(pairs, ["c" * 100, "c" * 100], 5, [0, 1, 2])
    assert together == apart


def test_an_output_is_cut_by_its_source_whatever_its_target() -> None:
    for target in ("c", "c" * 20):
        _, generate_tokens = evaluated([pair("ab", target)], ["x"], 5, [0, 1])
        assert generate_tokens.lengths == [2 * 3 + 32]


def test_nothing_is_generated_if_not_wanted() -> None:
    values, generate_tokens = evaluated([pair("a", "b")], [], 0, [0, 1])
    assert list(values) == ["loss"]
    assert generate_tokens.asked == []


def test_samples_show_source_output_and_target(monkeypatch: pytest.MonkeyPatch) -> None:
    task: Any = tiny("model=encoder_decoder").task
    monkeypatch.setattr(continuations, "generate_tokens", Scripted(["Two"]))
    samples = task.demonstrate(None, [pair("one", "One.")])
    assert samples == [Sample("one", "Two", "One.")]


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^n_generated=-1 must be at least 0, for example 0$"):
        Seq2Seq(loss=nn.Identity(), n_generated=-1)
