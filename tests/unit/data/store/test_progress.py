"""How far an encoding is, in words."""

from lightning_transformer.data.store.progress import Progress


def test_it_says_what_how_far_how_fast_and_how_long():
    progress = Progress("train split", 900_000_000, 100_000_000)
    progress.add(20_000_000)
    expected = "encoding train split: 120 of 900 MB, 2.0 MB/s, 6:30 left"
    assert progress.line(10.0) == expected
