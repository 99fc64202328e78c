"""pattern=prefix."""

from typing import Any

import numpy as np
import pytest
import torch

from lightning_transformer.data.examples import Tokens
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.models.encoder_decoder import EncoderDecoder
from lightning_transformer.models.encoder_only import EncoderOnly
from lightning_transformer.nn.pattern.base import Causal
from lightning_transformer.nn.pattern.block import BlockPattern
from lightning_transformer.nn.pattern.prefix import Prefix
from lightning_transformer.nn.pattern.sliding_window import SlidingWindow
from lightning_transformer.tasks import causal_lm
from lightning_transformer.tasks.base import IGNORE, Batch, Task
from tests.conftest import compose_config, tiny
from tests.helpers.assembly import assemble
from tests.unit.nn.pattern.drawn import drawn


def test_the_first_see_each_other_and_the_rest_the_past() -> None:
    assert drawn(Prefix(3).in_past(), 5) == "xxx..\nxxx..\nxxx..\nxxxx.\nxxxxx"


def test_a_window_limits_the_prefix_as_well() -> None:
    wanted = "xx...\nxxx..\n.xx..\n..xx.\n...xx"
    assert drawn((Prefix(3) & SlidingWindow(2)).in_past(), 5) == wanted
    assert drawn((SlidingWindow(2) & Prefix(3)).in_past(), 5) == wanted


def test_of_two_prefixes_both_must_allow() -> None:
    assert (Prefix(3) & Prefix(2)).prefix() == 2
    assert (BlockPattern(2) & Prefix(3)).prefix() == 3
    assert (BlockPattern(2) & SlidingWindow(3)).prefix() == 0


def test_a_causal_model_without_it_has_the_plain_triangle() -> None:
    assert SlidingWindow(3).in_past() == SlidingWindow(3) & Causal()


def batch_of(task: Task, *rows: np.ndarray, documents: list[int] | None = None) -> Batch:
    numbers = None if documents is None else np.array(documents)
    return task.collator("train")([Tokens(row, numbers) for row in rows], [0] * len(rows))


def test_what_the_model_sees_is_no_target() -> None:
    """The score of each target left stays the same to the bit, whatever the target is."""
    model: Any = tiny("pattern=prefix", "pattern.n_prefix=4")
    row = np.arange(60, 77)
    batch = batch_of(model.task, row)
    targets = (batch.labels[0] != IGNORE).nonzero().flatten().tolist()
    assert targets == list(range(3, 16))
    assert int(batch.n_targets) == 13
    full = model.features(batch)
    for t in range(15):  # the last target is not in the input
        other = row.copy()
        other[t + 1] = 99
        same = torch.equal(model.features(batch_of(model.task, other))[0, t], full[0, t])
        assert same == (t in targets)


def test_each_document_of_a_row_has_its_prefix() -> None:
    model: Any = tiny("pattern=prefix", "pattern.n_prefix=3")
    documents = [0] * 5 + [1] * 2 + [2] * 4
    batch = batch_of(model.task, np.arange(11), documents=documents)
    # The ends of documents, 5 and 7, are no inputs of theirs, so the model does not see them.
    assert batch.labels.tolist() == [[-100, -100, 3, 4, 5, -100, 7, -100, -100, 10]]


def test_evaluation_counts_the_same_targets() -> None:
    model: Any = tiny("pattern=prefix", "pattern.n_prefix=4")
    batch = batch_of(model.task, np.arange(17))
    metrics = torch.nn.ModuleDict(model.task.metrics())
    with torch.no_grad():
        features = model.features(batch)
        model.task.update(metrics, features, batch)
        scores = model.task.head(features[0, 3:]).log_softmax(-1)
    nll = -scores.gather(-1, batch.labels[0, 3:, None]).mean()
    assert float(metrics["loss"].compute()) == pytest.approx(float(nll), rel=1e-6)


def test_prompts_are_as_long_as_the_prefix() -> None:
    model: Any = tiny("pattern=prefix", "pattern.n_prefix=4")
    line = r"^3 tokens in a prompt, but with pattern=prefix the first 4 are read together; give 4"
    with pytest.raises(ValueError, match=line):
        model.begin([np.arange(5), np.arange(3)])


def test_samples_skip_rows_without_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = tiny("pattern=prefix", "pattern.n_prefix=6")
    examples = [Tokens(np.arange(65, 65 + n)) for n in (4, 8)]

    def short(model: Any, rows: Any, **options: Any) -> Any:
        return generate_tokens(model, rows, max_new_tokens=3)

    monkeypatch.setattr(causal_lm, "sample_tokens", short)
    (sample,) = model.task.demonstrate(model, examples)
    assert sample.given == ByteVocabulary().decode(np.arange(65, 71))
    assert model.task.demonstrate(model, examples[:1]) == []


def test_generation_slides_on() -> None:
    """Rows that are full go on from their latter half, which holds a prefix; finished ones too."""
    model: Any = tiny("pattern=prefix", "pattern.n_prefix=8")
    eos = model.task.vocabulary.eos_id
    answers = iter([[70, eos]] + [[70, 70]] * 40)

    def sampler(scores: torch.Tensor) -> torch.Tensor:
        return torch.tensor(next(answers))

    rows = [np.arange(60, 70), np.arange(60, 68)]
    said = generate_tokens(model, rows, max_new_tokens=30, sampler=sampler)
    assert list(map(len, said)) == [30, 0]


@pytest.mark.parametrize("kind", [EncoderOnly, EncoderDecoder])
def test_an_encoder_has_no_use_for_it(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"^pattern=prefix lets a causal model see both sides"):
        assemble(kind, pattern="prefix")


def test_a_task_that_keeps_its_targets_is_refused() -> None:
    class Other(Task):
        pass

    with pytest.raises(ValueError, match=r"task Other does not leave out; use task=causal_lm"):
        Other(loss=torch.nn.Identity()).hide_prefix(3)
    Other(loss=torch.nn.Identity()).hide_prefix(0)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"^n_prefix=1 must be at least 2, for example 2$"):
        Prefix(1)
    with pytest.raises(ValueError, match=r"n_prefix=9 must be at most 8, half of max_len 16"):
        tiny("pattern=prefix", "pattern.n_prefix=9")


def test_default_fits_the_default_model() -> None:
    cfg = compose_config("pattern=prefix")
    assert 2 * cfg.pattern.n_prefix <= cfg.data.seq_len
