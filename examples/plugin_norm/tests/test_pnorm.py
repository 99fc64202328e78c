"""The norm's formula on numbers worked by hand, and the contract that every norm keeps."""

import pytest
import torch
from plugin_norm.pnorm import PNorm

from lightning_transformer.testing.checks import check_norm


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 4.5])
def test_contract(p: float) -> None:
    check_norm(lambda dim: PNorm(dim, p=p))


def test_formula() -> None:
    # |x|^3 = 1, 8, 27, 0: the mean is 9, and the weight is 2.
    norm = PNorm(4, p=3.0, eps=1e-12)
    torch.nn.init.constant_(norm.weight, 2.0)
    x = torch.tensor([1.0, -2.0, 3.0, 0.0])
    expected = 2 * x / 9 ** (1 / 3)
    torch.testing.assert_close(norm(x), expected, rtol=1e-6, atol=1e-6)


def test_power_two_is_torch_rms_norm() -> None:
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.rms_norm(x, (16,), eps=1e-6)
    torch.testing.assert_close(PNorm(16, p=2.0)(x), expected, rtol=1e-6, atol=1e-6)


def test_zero_input_has_finite_gradient() -> None:
    x = torch.zeros(2, 8, requires_grad=True)
    PNorm(8, p=1.5)(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("options", [{"p": 0.5}, {"p": float("inf")}, {"eps": 0.0}])
def test_refuses(options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=rf"^{name}=.* must be .*, for example .*$"):
        PNorm(8, **options)
