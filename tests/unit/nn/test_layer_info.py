"""Components that depend on their place are told it, and may be replaced there."""

from torch import nn

from lightning_transformer.nn.layer_info import LayerInfo, configure_layer


class Told(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.info = LayerInfo(layer=-1)

    def configure_layer(self, info: LayerInfo) -> nn.Module:
        self.info = info
        return self


class Chooses(nn.Module):
    def configure_layer(self, info: LayerInfo) -> nn.Module:
        return nn.Identity() if info.layer else nn.Tanh()


def test_all_below_are_told() -> None:
    inner, top = Told(), nn.Sequential()
    top.add_module("deep", nn.Sequential(inner))
    assert configure_layer(top, LayerInfo(layer=2, n_layers=3)) is top
    assert inner.info == LayerInfo(layer=2, n_layers=3)


def test_cross_attention_is_told_that_it_is() -> None:
    top = nn.Module()
    top.attention, top.cross = Told(), Told()
    configure_layer(top, LayerInfo(layer=1, n_layers=2, reads_source=True))
    assert top.attention.info == LayerInfo(1, 2, reads_source=True)
    assert top.cross.info == LayerInfo(1, 2, causal=False, cross=True, reads_source=True)


def test_a_component_may_put_another_in_its_place() -> None:
    for layer, kind in ((0, nn.Tanh), (1, nn.Identity)):
        top = nn.Sequential(Chooses())
        configure_layer(top, LayerInfo(layer=layer, n_layers=2))
        assert type(top[0]) is kind
    assert type(configure_layer(Chooses(), LayerInfo())) is nn.Tanh
