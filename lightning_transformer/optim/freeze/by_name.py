"""freeze=by_name: parameters that are not trained, by patterns of their names."""

from fnmatch import fnmatchcase

from torch import nn


def by_name(model: nn.Module, *, patterns: list[str]) -> None:
    """Freeze every parameter whose name matches one of the patterns, as `model.parameters()` names.

    In a pattern `*` stands for any characters, dots included, `?` for one. A frozen parameter keeps
    its initial value: it has no gradient, no weight decay and no state in the optimizer. A tied
    head is the embedding's own parameter and has its name.

    Raises ValueError for a pattern that matches nothing, and where nothing would be left to train.
    """
    texts = isinstance(patterns, list) and all(isinstance(p, str) for p in patterns)
    if not patterns or not texts:
        raise ValueError(
            f"freeze.patterns={patterns} must be a list with a pattern in it, such as [embedding.*]"
        )
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f"freeze.patterns={pattern} matches none of the {len(names)} parameters, such as "
                f"{names[0]} or {names[len(names) // 2]}"
            )
    frozen = [p for n, p in model.named_parameters() if any(fnmatchcase(n, x) for x in patterns)]
    if len(frozen) == len(names):
        raise ValueError(
            f"freeze.patterns=[{','.join(patterns)}] leaves nothing to train; try [{names[0]}]"
        )
    for parameter in frozen:
        parameter.requires_grad_(False)
