"""freeze=below."""

import pytest

from lightning_transformer.optim.freeze.below import below
from tests.conftest import tiny
from tests.unit.optim.freeze.test_by_name import frozen
from tests.unit.tasks.drawn import drawn_batch


def test_embeddings_and_the_lowest_blocks_are_frozen() -> None:
    model = tiny("tie_embeddings=false")
    below(model, n_blocks=1)
    own = frozen(model)
    assert own[0] == "embedding.weight"
    assert {name.split(".")[2] for name in own[1:]} == {"0"}
    seen: list[bool] = []
    for block in model.decoder.blocks:  # type: ignore[union-attr]
        block.register_forward_hook(lambda *a: seen.append(a[2].requires_grad))
    model(drawn_batch(model.task))
    assert seen == [False, True]  # the pass back ends above the frozen block


def test_of_two_stacks_the_encoder_comes_first() -> None:
    model = tiny("model=encoder_decoder", "tie_embeddings=false")
    below(model, n_blocks=3)
    blocks = {".".join(name.split(".")[:3]) for name in frozen(model) if ".blocks." in name}
    assert blocks == {"encoder.blocks.0", "encoder.blocks.1", "decoder.blocks.0"}


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, r"^n_blocks=0 must be at least 1"),
        (3, r"^freeze\.n_blocks=3 is more than the 2 blocks of this model; at most .*n_blocks=2$"),
    ],
)
def test_refuses(n: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        below(tiny(), n_blocks=n)
