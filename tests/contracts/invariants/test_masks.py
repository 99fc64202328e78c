"""Invariants 5 to 8, 28, 29, 35: who sees whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_transformer.data.examples import Pair, Tokens
from lightning_transformer.data.packing.documents import Documents
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.models.encoder_decoder import EncoderDecoder
from lightning_transformer.models.encoder_only import EncoderOnly
from lightning_transformer.nn.attention.context import AttentionContext
from lightning_transformer.tasks.base import IGNORE
from lightning_transformer.tasks.causal_lm import NextToken
from tests.conftest import noise, options, training_kernels
from tests.contracts.conformance.models import KINDS
from tests.contracts.invariants.setting import EXACT
from tests.helpers.assembly import MAX_LEN, WORDS, assemble, built
from tests.helpers.refusals import is_refused
from tests.unit.nn.attention.kernels.by_rows import attention_by_rows

IDS = torch.randint(0, 256, (2, MAX_LEN), generator=torch.Generator().manual_seed(3))
B, H, T, S, K = 2, 2, 4, 5, 3
SEEN = noise(B, 1, T, S, seed=5) > -0.3
SEEN[..., 0] = True


def qkv() -> tuple[Tensor, Tensor, Tensor]:
    return noise(B, H, T, K), noise(B, H, S, K, seed=1), noise(B, H, S, K, seed=2)


@pytest.mark.parametrize("kernel", training_kernels())
@pytest.mark.parametrize("position", options("position"))
def test_invariant_05_causality(position: str, kernel: str) -> None:
    """No number of an earlier position moves, and no gradient goes back to a later one.

    Tokens of a prefix see each other; that they are no targets is tested with pattern=prefix.
    """
    for pattern in options("pattern"):
        if is_refused("decoder_only", position=position, pattern=pattern):
            continue
        model: Any = assemble(position=position, kernel=kernel, pattern=pattern)
        x = model.embedding(IDS).detach().requires_grad_()
        full = model.decoder(x)
        for t in range(max(1, model.n_prefix), MAX_LEN):
            moved = x.detach().clone()
            moved[:, t] += 1.0
            # With gradients like the first, for sdpa computes learned biases otherwise without.
            other = model.decoder(moved)
            assert torch.equal(other[:, :t], full[:, :t]), f"{pattern}: {t} is seen"
            assert not torch.equal(other[:, t], full[:, t])
        (back,) = torch.autograd.grad((full[:, 4] * noise(2, 16)).sum(), x)
        assert not back[:, 5:].any()
        assert back[:, 4].any()
        assert back[:, 2:4].any()  # one of them: every second one with pattern=dilated


@pytest.mark.parametrize("kernel", options("kernel"))
def test_invariant_06_mask_polarity(kernel: str) -> None:
    """True = may attend, as in torch's function and unlike in torch's module."""
    q, k, v = qkv()
    wanted = attention_by_rows(q, k, v, SEEN)
    near = {"rtol": 0, "atol": EXACT}
    torch.testing.assert_close(
        built("kernel", kernel)(q, k, v, AttentionContext(SEEN), 0.0), wanted, **near
    )
    theirs = F.scaled_dot_product_attention(q, k, v, attn_mask=SEEN)
    torch.testing.assert_close(theirs, wanted, **near)
    module: Any = nn.MultiheadAttention(H * K, H, bias=False, batch_first=True).double()
    with torch.no_grad():  # leave nothing but the attention itself
        for weight in (*module.in_proj_weight.chunk(3), module.out_proj.weight):
            weight.copy_(torch.eye(H * K))
    joined = [x.transpose(1, 2).flatten(2) for x in (q, k, v)]
    hidden = ~SEEN.expand(B, H, T, S).flatten(0, 1)
    other, _ = module(*joined, attn_mask=hidden, need_weights=False)
    torch.testing.assert_close(other, wanted.transpose(1, 2).flatten(2), **near)


@pytest.mark.parametrize("kernel", training_kernels())
def test_invariant_07_a_row_that_sees_nothing(kernel: str) -> None:
    seen = SEEN.clone()
    seen[1, :, 2] = False
    leaves = [x.requires_grad_() for x in qkv()]
    y = built("kernel", kernel)(*leaves, AttentionContext(seen), 0.0)
    assert not y[1, :, 2].any()
    assert y[1, :, 1].any()
    y.square().sum().backward()
    assert all(leaf.grad.isfinite().all() for leaf in leaves if leaf.grad is not None)


@pytest.mark.parametrize("kernel", training_kernels())
def test_invariant_07_a_row_of_nothing_but_pads(kernel: str) -> None:
    for position in options("position"):
        if is_refused("encoder_only", position=position):
            continue
        model: Any = assemble(EncoderOnly, position=position, kernel=kernel)
        padding = torch.zeros(2, MAX_LEN, dtype=torch.bool)
        padding[1] = True
        x = model.embedding(IDS).detach().requires_grad_()
        y = model.encoder(x, padding=padding)
        y.square().sum().backward()
        assert y.isfinite().all()
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kernel", options("kernel"))
def test_invariant_08_mask_value_in_half_precision(kernel: str, dtype: torch.dtype) -> None:
    """Scores as large as half precision holds, beside hidden ones that are larger still."""
    q, k, v = qkv()
    q, k = 40 * q, 40 * k
    k[:, :, ~SEEN[0, 0, 0]] *= 3
    mask = SEEN[:1]
    bias = noise(H, T, S, seed=3)
    q, k, v, bias = (x.to(dtype) for x in (q, k, v, bias))
    exact = [x.double() for x in (q / K**0.5 / 40, k / 40, v)]
    for context, added in (
        (AttentionContext(mask), None),
        (AttentionContext(mask, bias.masked_fill(~mask[0], -torch.inf)), bias.double()),
    ):
        y = built("kernel", kernel)(q / K**0.5 / 40, k / 40, v, context, 0.0)
        wanted = attention_by_rows(*exact, mask, added)
        torch.testing.assert_close(y.double(), wanted, rtol=0, atol=0.02)
        large = built("kernel", kernel)(q, k, v, context, 0.0)
        assert large.isfinite().all()
        best = (q.double() @ k.double().mT).masked_fill(~mask, -torch.inf)
        if added is not None:
            best = best + added * K**0.5
        clear = best.topk(2).values.diff().abs()[..., 0] > 50  # rounding cannot change the winner
        assert clear.any()
        winner = v.gather(2, best.argmax(-1)[..., None].expand(B, H, T, K))
        torch.testing.assert_close(large[clear], winner[clear], rtol=0, atol=0.02)


NUMBERS = torch.tensor([[0, 0, 0, 1, 1, 2, 2, 2, 2], [4, 4, 4, 4, 5, 5, 5, 5, 6]])


@pytest.mark.parametrize("position", options("position"))
@pytest.mark.parametrize("kind", ["decoder_only", "encoder_only"])
def test_invariant_28_packed_documents(kind: str, position: str) -> None:
    """Packed is separate, and no gradient crosses from one document into another."""
    kernels, number = training_kernels(), options("position").index(position)
    for i, pattern in enumerate(options("pattern")):
        kernel = kernels[(i + number) % len(kernels)]  # with another position, another one
        if is_refused(kind, position=position, pattern=pattern):
            continue
        model: Any = assemble(KINDS[kind], position=position, kernel=kernel, pattern=pattern)
        stack = model.decoder if model.causal else model.encoder
        x = model.embedding(IDS).detach().requires_grad_()
        packed = stack(x, documents=NUMBERS)
        for row in range(2):
            for number in NUMBERS[row].unique():
                mine = NUMBERS[row] == number
                alone = stack(x[row : row + 1, mine])[0]
                torch.testing.assert_close(packed[row, mine], alone, rtol=0, atol=EXACT)
                (back,) = torch.autograd.grad(
                    (packed[row, mine] * noise(int(mine.sum()), 16)).sum(),
                    x,
                    retain_graph=True,
                )
                assert back[row, mine].any()
                back[row, mine] = 0.0
                assert not back.any()


@pytest.mark.parametrize("position", ["rope", "learned", "none"])
def test_invariant_28_a_packed_row_is_its_documents_each_behind_its_start(position: str) -> None:
    """Scores, loss and the gradient of every weight, from the texts on."""
    model: Any = assemble(KINDS["decoder_only"], position=position)
    words, texts = model.task.vocabulary, ["ab", "c", "def"]
    ids = [words.encode(text) for text in texts]
    packed = Documents().pack(ids, seq_len=MAX_LEN, eos_id=words.eos_id, training=True).get(0, 0)
    ends = [words.eos_id]
    alone = [Tokens(np.concatenate([ends, document, ends])) for document in ids]
    collate = NextToken(words.pad_id)

    def passed(rows: list[Tokens]) -> tuple[Tensor, list[Tensor]]:
        parts, loss = [], torch.zeros((), dtype=torch.float64)
        for row in rows:
            batch = collate([row], [0])
            scores, labels = model.task.scores(model(batch), batch)
            loss = loss + F.cross_entropy(scores, labels, reduction="sum")
            parts.append(scores)
        used = [p for p in model.parameters() if p.requires_grad]
        return torch.cat(parts), list(torch.autograd.grad(loss, used, materialize_grads=True))

    scores, gradients = passed([packed])
    wanted, each = passed(alone)
    assert len(scores) == sum(len(text) + 1 for text in texts)  # the first token of each, too
    torch.testing.assert_close(scores, wanted, rtol=0, atol=EXACT)
    torch.testing.assert_close(gradients, each, rtol=0, atol=EXACT)
    assert any(gradient.any() for gradient in gradients)


def test_invariant_29_no_target_across_a_document_boundary() -> None:
    """End-of-document is the target of the document before it, and the input of that behind it."""
    words = ByteVocabulary()
    texts = ["ab", "c", "defg"]
    rows = Documents().pack(
        [words.encode(text) for text in texts],
        seq_len=10,
        eos_id=words.eos_id,
        training=True,
    )
    batch = NextToken(words.pad_id)([rows.get(0, 0)], [0])
    said = [
        (words.decode([i]) or "$", words.decode([t]) or "$", number)
        for i, t, number in zip(
            *(x[0].tolist() for x in (batch.input_ids, batch.labels, batch.documents)), strict=True
        )
        if t != IGNORE
    ]
    assert ["".join(two) for *two, _ in said] == [
        "$a",
        "ab",
        "b$",
        "$c",
        "c$",
        "$d",
        "de",
        "ef",
        "fg",
        "g$",
    ]
    assert [number for *_, number in said] == [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    assert int(batch.n_targets) == len(said)


def test_invariant_35_the_decoder_reads_bos_and_the_past() -> None:
    """It reads BOS y1 y2 and is to say y1 y2 EOS; the source ends in EOS."""
    model = assemble(EncoderDecoder)
    examples = [
        Pair(np.array([7, 8]), np.array([1, 2, 3])),
        Pair(np.array([9]), np.array([4])),
    ]
    batch = model.task.collator("train")(examples, [0, 0])
    bos, eos, pad = WORDS.bos_id, WORDS.eos_id, WORDS.pad_id
    assert batch.source_ids is not None
    assert batch.source_ids.tolist() == [[7, 8, eos], [9, eos, pad]]
    assert batch.input_ids.tolist() == [[bos, 1, 2, 3], [bos, 4, pad, pad]]
    assert batch.labels.tolist() == [[1, 2, 3, eos], [4, eos, IGNORE, IGNORE]]


@pytest.mark.parametrize(
    "position",
    [p for p in options("position") if not is_refused("encoder_decoder", position=p)],
)
def test_invariant_35_teacher_forcing_is_step_by_step(position: str) -> None:
    """And what stands at pads of the source is not heard."""
    model: Any = assemble(EncoderDecoder, position=position)
    pairs = [Pair(IDS[0, :n].numpy(), IDS[1, :m].numpy()) for n, m in ((6, 4), (2, 7))]
    batch = model.task.collator("train")(pairs, [0, 0])
    assert batch.source_padding.any()
    with torch.no_grad():
        forced = model.features(batch)
        hidden = batch.source_ids.masked_fill(batch.source_padding, 7)
        assert torch.equal(model.features(batch._replace(source_ids=hidden)), forced)
        real = [
            row[~pads].numpy()
            for row, pads in zip(batch.source_ids, batch.source_padding, strict=True)
        ]
        state, first, _ = model.begin(real)
        assert torch.equal(first, batch.input_ids[:, :1])
        gold = batch.input_ids.unbind(1)
        steps = [model.decode(column[:, None], state) for column in gold]
    torch.testing.assert_close(torch.cat(steps, dim=1), forced, rtol=0, atol=EXACT)
