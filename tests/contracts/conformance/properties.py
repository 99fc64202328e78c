"""What every model must keep, whatever its options. Each raises AssertionError in one line."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.attention.kernels.base import LimitedTraining
from lightning_transformer.nn.stack_checks import check_documents, reads_in_order
from tests.conftest import noise, options
from tests.contracts.conformance.models import (
    IDS,
    LENGTHS,
    PADDING,
    SOURCE,
    decoded,
    features,
    made,
    near,
)
from tests.helpers.assembly import MAX_LEN, WORDS

PROMPT = 7


def no_leak(model: Any, full: Tensor) -> None:
    """A token changes nothing before it, to the bit, and changes itself.

    Tokens of a prefix, which are no targets, change each other.
    """
    for place in (MAX_LEN - 1, 5, 1):
        changed = IDS.clone()
        changed[:, place] = (changed[:, place] + 1) % 256
        other = features(model, changed)
        if place < model.decoder.n_prefix:
            assert (other[:, 0] != full[:, 0]).any(), f"0 does not see {place} of its prefix"
        else:
            before = other[:, :place], full[:, :place]
            assert torch.equal(*before), f"token {place} is seen before it"
        assert (other[:, place] != full[:, place]).any(), f"token {place} does not see itself"


def sees_both_sides(model: Transformer, full: Tensor) -> None:
    changed = IDS.clone()
    changed[:, 4] = (changed[:, 4] + 1) % 256
    differs = features(model, changed) != full
    assert differs[:, :4].any(), "no token before it sees token 4"
    assert differs[:, 5:].any(), "no token after it sees token 4"


def padding_changes_nothing(model: Transformer, full: Tensor) -> None:
    """A padded row is as if alone; what the pads hold is of no importance."""
    padded = IDS.masked_fill(PADDING, WORDS.pad_id)
    both = features(model, padded, padding=PADDING)
    other = features(model, padded.masked_fill(PADDING, 7), padding=PADDING)
    for row, n in enumerate(LENGTHS):
        mine = slice(row, row + 1)
        assert torch.equal(other[row, :n], both[row, :n]), "what pads hold is heard"
        alone = full[mine] if n == MAX_LEN else features(model, padded[mine, :n], mine)
        assert near(both[mine, :n], alone), "padding or a neighbour changes a row"


def row_is_alone(model: Transformer, full: Tensor) -> None:
    for row in range(2):
        mine = slice(row, row + 1)
        assert near(features(model, IDS[mine], mine), full[mine]), "a row depends on its neighbour"


def source_is_read(model: Transformer, full: Tensor) -> None:
    hidden = features(model, IDS, source_ids=SOURCE.masked_fill(PADDING, 7))
    assert torch.equal(hidden, full), "what pads of the source hold is heard"
    changed = SOURCE.clone()
    changed[:, 2] = (changed[:, 2] + 1) % 256
    other = features(model, IDS, source_ids=changed)
    assert (other != full).flatten(1).any(dim=1).all(), "the source is not read"


def cache_is_exact(model: Any, full: Tensor) -> None:
    """Decoding equals the whole pass; prompts of two lengths stand side by side, padded left."""
    prompts = list(IDS[:, :PROMPT])
    assert near(decoded(model, prompts, IDS[:, PROMPT:]), full), "with a cache differs"
    first = max(1, model.decoder.n_prefix)
    steps = decoded(model, list(IDS[:, :first]), IDS[:, first:])
    assert near(steps, full), "token by token differs"
    if model.has_source:
        return
    padded = decoded(model, [prompts[0], prompts[1][:4]], IDS[:, PROMPT:])
    assert near(padded[0], full[0]), "with a cache a row depends on its neighbour"
    alone = features(model, torch.cat((IDS[1:, :4], IDS[1:, PROMPT:]), dim=1))
    assert near(padded[1:, PROMPT - 4 :], alone), "padding on the left changes a row"


DOCUMENTS = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 2, 2], [5, 6, 6, 6, 6, 6, 6, 6, 6]])


def documents_are_alone(model: Any, _full: Tensor) -> None:
    """Or refused, where memory tokens, which go before a whole row, would join them."""
    stack = model.decoder if model.causal else model.encoder
    try:
        check_documents(stack)
    except ValueError:
        assert stack.memory_tokens.n_tokens, "nothing joins documents but memory tokens"
        assert not model.causal or reads_in_order(stack), "a causal mask keeps memory from text"
        with pytest.raises(ValueError, match=r"^memory_tokens=\w+ goes before a whole row"):
            features(model, IDS, documents=DOCUMENTS)
        return
    packed = features(model, IDS, documents=DOCUMENTS)
    for row in range(2):
        for number in DOCUMENTS[row].unique():
            mine = DOCUMENTS[row] == number
            alone = features(model, IDS[row : row + 1, mine])
            assert near(packed[row, mine], alone[0]), "a document depends on another"


def kernels_agree(kind: str, choices: Mapping[str, str], full: Tensor) -> None:
    """Every kernel that the model may be built with gives the same."""
    for kernel in options("kernel"):
        if kernel == choices.get("kernel"):
            continue
        try:
            other = made(kind, {**choices, "kernel": kernel})
        except ValueError:
            continue  # refused in one line; which, the list of refusals says
        assert near(features(other, IDS), full, 1e-9), f"kernel={kernel} differs"


def gradients_reach_all(model: Transformer) -> None:
    """Finite, for every parameter of the stacks."""
    if any(isinstance(getattr(m, "kernel", None), LimitedTraining) for m in model.modules()):
        with pytest.raises(ValueError, match=r"^kernel=flex has no gradient on a CPU"):
            features(model, IDS)
        return
    model.train()
    try:
        (features(model, IDS) * noise(2, MAX_LEN, 16)).sum().backward()
    finally:
        model.eval()
    for name, parameter in model.named_parameters():
        if name.startswith("task."):
            continue
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.isfinite().all(), f"{name} has no finite gradient"
    model.zero_grad()


def lower_precision_is_near(model: Transformer, exact: Tensor, experts: list[Tensor]) -> None:
    """float32 within 1e-4 of float64; bfloat16 (autocast) within a tenth.

    Or, where that is more, within four times of what rounding the weights alone changes, as inputs,
    products and attended values are rounded too: what magnifies one rounding magnifies each. Tokens
    take the experts of the exact model: a score that is rounded may choose others.
    """
    with Routes(experts, replay=True):
        single = copy.deepcopy(model).float()
        assert near(features(single, IDS).double(), exact, 1e-4), "float32 is off"
    with Routes(experts, replay=True), torch.autocast("cpu", dtype=torch.bfloat16):
        half = features(single, IDS).double()
    error = off(half, exact)
    if error >= 0.1:
        rounded = copy.deepcopy(model)
        for parameter in rounded.parameters():
            parameter.copy_(parameter.bfloat16())
        with Routes(experts, replay=True):
            allowed = 4 * off(features(rounded, IDS), exact)
        assert error < allowed, f"bfloat16 is off by {error:.3f}, more than {allowed:.3f}"


def off(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


class Routes(TorchFunctionMode):
    """Writes down the experts that are chosen, or has the same chosen again."""

    def __init__(self, choices: list[Tensor], *, replay: bool) -> None:
        super().__init__()
        self.choices, self.left = choices, iter(choices) if replay else None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        y = func(*args, **(kwargs or {}))
        if func is not Tensor.topk:
            return y
        if self.left is None:
            self.choices.append(y.indices)
        else:
            y.indices.copy_(next(self.left))
        return y


def weights_follow_the_seed(
    kind: str, choices: Mapping[str, str], model: Any, full: Tensor
) -> None:
    """The state is all of a model, and depends on no global random numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        twin = made(kind, choices)
    assert torch.equal(features(twin, IDS), full), "weights depend on the global seed"
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.01
    twin.load_state_dict(model.state_dict())
    assert torch.equal(features(twin, IDS), features(model, IDS)), "state dict is not all of it"


def promises(model: Transformer) -> list[Callable[[Transformer, Tensor], None]]:
    """What a model keeps, by whether it is causal and whether it reads a source.

    Each takes the model and its features of IDS.
    """
    of_direction = [no_leak, cache_is_exact] if model.causal else [sees_both_sides]
    of_source = [source_is_read] if model.has_source else [documents_are_alone]
    return [*of_direction, row_is_alone, padding_changes_nothing, *of_source]


def check(kind: str, choices: Mapping[str, str]) -> None:
    """Hold one model against all that it must keep."""
    try:
        model = made(kind, choices)
    except ValueError as error:
        text = " ".join(f"{group}={name}" for group, name in choices.items())
        pytest.fail(
            f"model={kind} {text} is refused, and refused.json knows of no pair among them: run "
            f"`make docs` if that is meant to be ({error})"
        )
    with torch.no_grad():
        experts: list[Tensor] = []
        with Routes(experts, replay=False):
            full = features(model, IDS)
        assert full.isfinite().all(), "features are not finite"
        for holds in promises(model):
            holds(model, full)
        kernels_agree(kind, choices, full)
        lower_precision_is_near(model, full, experts)
    gradients_reach_all(model)
    with torch.no_grad():
        weights_follow_the_seed(kind, choices, model, full)
