"""The split that keeps a list."""

from __future__ import annotations

import numpy as np

from lightning_transformer.data.examples import Labelled
from lightning_transformer.data.split import ExampleList


def test_example_list_gives_the_same_examples_in_every_epoch():
    examples = [Labelled(np.arange(i), i) for i in range(3)]
    split = ExampleList(examples, n_tokens=3)
    assert len(split) == 3
    assert split.n_tokens == 3
    assert split.get(2, 0).ids.tolist() == split.get(2, 9).ids.tolist() == examples[2].ids.tolist()
