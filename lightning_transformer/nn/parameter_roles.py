"""What each parameter is for: the roles by which optimizers choose how to update it."""

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar, Protocol, runtime_checkable

from torch import nn


class Role(IntEnum):
    """The role of a parameter; of one that modules share, the highest of its roles holds.

    MATRIX: from many channels to many. Decays, and an optimizer may treat it as a matrix.
    WEIGHT: any other weight of a linear map, such as an output layer, a router, a convolution or
        all experts in one tensor. Decays, and is never orthogonalised.
    TABLE: rows that are looked up by a number. Neither.
    FACTOR: gains, biases, gates and mixing factors, which are not to go to zero. Neither.
    """

    MATRIX = 0
    WEIGHT = 1
    TABLE = 2
    FACTOR = 3

    @property
    def decays(self) -> bool:
        """Whether weight decay acts on it."""
        return self <= Role.WEIGHT


@runtime_checkable
class DeclaresRoles(Protocol):
    """A module with parameters of its own whose roles are not those of their default.

    param_roles: the role of each such parameter, by the name of the attribute that holds it.
    """

    param_roles: ClassVar[Mapping[str, Role]]


def parameter_roles(model: nn.Module) -> dict[nn.Parameter, Role]:
    """The role of every parameter of a model, in the order of `model.parameters()`.

    The module that holds a parameter declares its role (`DeclaresRoles`). Otherwise the weight of
    an ``nn.Linear`` is a MATRIX, that of an ``nn.Embedding`` a TABLE, and any other a FACTOR.
    """
    found: dict[nn.Parameter, Role] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            role = _role(module, name)
            found[parameter] = max(role, found.get(parameter, role))
    return found


def _role(module: nn.Module, name: str) -> Role:
    declared = module.param_roles if isinstance(module, DeclaresRoles) else {}
    if name in declared:
        return declared[name]
    if name == "weight" and isinstance(module, nn.Linear):
        return Role.MATRIX
    if name == "weight" and isinstance(module, nn.Embedding):
        return Role.TABLE
    return Role.FACTOR
