"""pattern=local_global."""

import pytest

from lightning_transformer.nn.pattern.full import Full
from lightning_transformer.nn.pattern.local_global import LocalGlobal
from lightning_transformer.nn.pattern.sliding_window import SlidingWindow


def test_every_third_layer_sees_everything() -> None:
    pattern = LocalGlobal(window=4, n_local=2)
    local = SlidingWindow(4)
    layers = [pattern.for_layer(layer) for layer in range(7)]
    assert layers == [local, local, Full(), local, local, Full(), local]


def test_default_is_three_to_one() -> None:
    assert [LocalGlobal().for_layer(i) == Full() for i in range(4)] == [False, False, False, True]


def test_without_a_layer_it_has_no_mask() -> None:
    with pytest.raises(AssertionError, match="for_layer"):
        LocalGlobal()(None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"window": 0}, {"n_local": 0}])
def test_refuses(options: dict[str, int]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=rf"^{name}=0 must be at least 1, for example 1$"):
        LocalGlobal(**options)
