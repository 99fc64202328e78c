"""freeze=embeddings: tables of tokens and positions keep their initial values."""

from torch import nn


def embeddings(model: nn.Module) -> None:
    """Freeze every parameter of modules that hold a table of vectors, such as `nn.Embedding`.

    A head that is tied to the table is frozen with it. Raises ValueError for a model whose tables
    are all that it has.
    """
    freeze_modules(model, [m for m in model.modules() if isinstance(m, nn.Embedding)], "embeddings")


def freeze_modules(model: nn.Module, modules: list[nn.Module], option: str) -> None:
    """Freeze the parameters of some modules; ValueError where nothing would be left to train."""
    for module in modules:
        module.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"freeze={option} leaves nothing to train; use freeze=none")
