from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lightning_transformer.nn.recurrent.base import RecurrentCache, RowOrder
from lightning_transformer.nn.recurrent.short_convolution import ShortConvolution
from tests.conftest import noise

B, T, C = 2, 6, 3


def made(size: int, bias: bool = True) -> ShortConvolution:
    module = ShortConvolution(C, size=size, bias=bias).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(noise(*parameter.shape, seed=size))
    return module


@pytest.mark.parametrize("size", [1, 2, 4, 9])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_the_convolution_of_torch(size: int, bias: bool) -> None:
    module, x = made(size, bias), noise(B, T, C)
    padded = F.pad(x.mT, (size - 1, 0))
    wanted = F.conv1d(padded, module.weight[:, None], module.bias, groups=C).mT
    torch.testing.assert_close(module(x, RowOrder(), RecurrentCache()), wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize("size", [1, 2, 4, 9])
def test_documents_and_later_tokens(size: int) -> None:
    module, x = made(size), noise(B, T, C)
    documents = torch.tensor([[0, 0, 1, 1, 1, 2], [3, 3, 3, 3, 3, 3]])
    y = module(x, RowOrder(documents=documents), RecurrentCache())
    middle = module(x[:1, 2:5], RowOrder(), RecurrentCache())
    torch.testing.assert_close(y[:1, 2:5], middle, rtol=0, atol=1e-14)
    past = RecurrentCache()
    parts = [module(x[:, a:b], RowOrder(), past) for a, b in ((0, 1), (1, 4), (4, 6))]
    whole = module(x, RowOrder(), RecurrentCache())
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-14)
