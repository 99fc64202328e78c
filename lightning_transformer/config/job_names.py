"""The names of folders of runs and of a sweep's jobs, in whatever process a job runs."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from lightning_transformer.config.compose import is_hydra, swept_keys
from lightning_transformer.config.validate import NOT_IDENTITY, plain
from lightning_transformer.runs.naming import job_name, override_key, run_suffix, sweep_folder
from lightning_transformer.runs.result import config_sha256

SHARED_KEYS = "job.config.override_dirname.exclude_keys"  # in Hydra's own configuration


def differing_overrides(overrides: Sequence[str], shared: Sequence[str] = ()) -> list[str]:
    """Those of a job's overrides that tell it from others: without the shared keys, or else all."""
    own = [
        o for o in overrides if "=" in o and not is_hydra(o) and override_key(o) not in NOT_IDENTITY
    ]
    return [o for o in own if override_key(o) not in shared] or own


def shared_by_jobs(overrides: Iterable[Override]) -> str:
    """What a sweep gives Hydra so that its jobs are named by what differs between them.

    These are the keys with one value, in Hydra's own list of keys that name no job. It is part of
    the configuration, which every launcher hands on to the processes of its jobs.
    """
    overrides = list(overrides)
    once = {override_key(o.get_key_element()) for o in overrides} - set(swept_keys(overrides))
    keys = ",".join(f"'{key}'" for key in sorted(once) if not is_hydra(key))
    return f"hydra.{SHARED_KEYS}=[{keys}]"


def shared_by_all(overrides: Iterable[str]) -> str:
    """The same for runs that are started one by one, of what all of them are started with."""
    keys = sorted({override_key(text) for text in overrides})
    return f"hydra.{SHARED_KEYS}=[{','.join(f'{key!r}' for key in keys if not is_hydra(key))}]"


def shared_keys(hydra: DictConfig) -> list[str]:
    """The keys that all jobs of a sweep share, from a job's own Hydra configuration."""
    return [str(key) for key in OmegaConf.select(hydra, SHARED_KEYS)]


def _job_folder(*, _root_: DictConfig) -> str:
    hydra = _root_.hydra
    name = job_name(differing_overrides(hydra.overrides.task, shared_keys(hydra)))
    return sweep_folder(Path(hydra.sweep.dir), name, config_sha256(plain(_root_))).name


def _run_suffix(*, _root_: DictConfig) -> str:
    return run_suffix(_root_.hydra.overrides.task)


# At import, so that they are there in every process that has a job to do.
OmegaConf.register_new_resolver("job_folder", _job_folder, replace=True)
OmegaConf.register_new_resolver("run_suffix", _run_suffix, replace=True)
