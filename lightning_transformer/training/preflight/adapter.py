"""What an adapter needs of a run, and what it does not go with."""

from fnmatch import fnmatchcase

from omegaconf import DictConfig, OmegaConf

from lightning_transformer.build import build, refusing
from lightning_transformer.errors import ConfigError
from lightning_transformer.models.base import Transformer
from lightning_transformer.nn.adapter.base import train_only


def check_adapter(cfg: DictConfig, model: Transformer, choices: dict[str, str]) -> None:
    """Refuse an adapter beside what it does not go with, or that the model has no place for.

    Puts it into the model, whose weights are on the meta device. Raises ConfigError.
    """
    longest = model.max_len
    trained = build(cfg, "adapter", model=model, seed=0).trained
    if trained is None:
        _check_rows(cfg, model)
        return
    option = choices.get("adapter", "?")
    left = model.max_len - model.task.n_extra_tokens
    if model.max_len < longest and int(cfg.data.seq_len) > left:
        more = int(cfg.data.seq_len) + longest - model.max_len
        raise ConfigError(
            f"data.seq_len={cfg.data.seq_len} is above the {left} learned positions that "
            f"adapter={option} leaves; use data.seq_len={left}, or model.max_len={more}"
        )
    if cfg.init_from is None:
        raise ConfigError(
            f"adapter={option} trains little beside weights that are kept, and here they would be "
            "random: name a trained model with init_from=FOLDER, or leave adapter out"
        )
    if choices.get("freeze", "none") != "none":
        raise ConfigError(
            f"freeze={choices['freeze']} beside adapter={option}, which freezes the whole base; "
            "leave one of them out"
        )
    if OmegaConf.select(cfg, "trainer.strategy.tensor_parallel_size") is not None:
        raise ConfigError(
            f"adapter={option} with layers cut over devices is not tested; use trainer=ddp"
        )
    # What else is new is known once the start is read; these are the least that is trained.
    patterns = [] if trained else ["task.*", *(str(pattern) for pattern in cfg.fresh)]
    names = [name for name, _ in model.named_parameters()]
    new = [name for name in names if any(fnmatchcase(name, p) for p in patterns)]
    with refusing(cfg, "adapter"):
        train_only(model, trained, new)
    _check_rows(cfg, model)


def _check_rows(cfg: DictConfig, model: Transformer) -> None:
    """Refuse to add tokens whose vectors would stay random; ConfigError."""
    added = OmegaConf.select(cfg, "tokenizer.add")
    if added and not model.embedding.weight.requires_grad:
        raise ConfigError(
            f"tokenizer.add=[{','.join(added)}] needs a table of embeddings that is trained, or "
            "its rows stay random; use adapter=none freeze=none"
        )
