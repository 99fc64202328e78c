"""What a run is asked to do: where it writes, and what the user typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightning_transformer.config.job_names import differing_overrides
from lightning_transformer.config.overrides import SEVERAL
from lightning_transformer.runs.secrets import redacted_overrides

LISTS = tuple(f"{group}=[" for group in SEVERAL)


@dataclass(frozen=True)
class RunRequest:
    """Where a run writes, and what the user typed."""

    folder: Path
    choices: dict[str, str] = field(default_factory=dict)  # group -> option
    overrides: list[str] = field(default_factory=list)  # as typed
    chosen: dict[str, str] = field(default_factory=dict)  # the groups among the overrides
    resume: bool = False  # continue from the last checkpoint in the folder
    in_sweep: bool = False  # one of several jobs in this process
    differing: dict[str, str] = field(default_factory=dict)  # the overrides that identify the run
    config_dirs: tuple[str, ...] = ()  # folders of further options
    started_in: Path = field(default_factory=Path.cwd)  # where commands are typed

    @classmethod
    def of(
        cls,
        folder: Path,
        overrides: Sequence[str],
        choices: Mapping[str, str | None],
        *,
        resume: bool = False,
        in_sweep: bool = False,
        shared: Sequence[str] = (),
        config_dirs: Sequence[str] = (),
        started_in: Path | None = None,
    ) -> "RunRequest":
        """From what was typed and what Hydra chose; secrets among the overrides are hidden.

        shared: the keys that all jobs of a sweep have in common.
        """
        shown = redacted_overrides(overrides)
        groups = {k: str(v) for k, v in choices.items() if "/" not in k and v}
        # Hydra does not list a group of which several options were chosen.
        groups |= dict(o.split("=", 1) for o in shown if o.startswith(LISTS))
        return cls(
            folder=folder,
            choices=groups,
            overrides=shown,
            chosen={k: v for k, v in groups.items() if any(o.startswith(f"{k}=") for o in shown)},
            resume=resume,
            in_sweep=in_sweep,
            differing=dict(o.split("=", 1) for o in differing_overrides(shown, shared)),
            config_dirs=tuple(config_dirs),
            started_in=started_in or Path.cwd(),
        )
