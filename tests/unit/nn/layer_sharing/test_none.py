from lightning_transformer.nn.layer_sharing.none import NoSharing


def test_each_block_once_in_order() -> None:
    assert NoSharing().order(3) == (0, 1, 2)
