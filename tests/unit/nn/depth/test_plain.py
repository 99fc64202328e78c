from lightning_transformer.nn.depth.plain import Plain


def test_each_block_once_in_order() -> None:
    assert Plain().order(3) == (0, 1, 2)
