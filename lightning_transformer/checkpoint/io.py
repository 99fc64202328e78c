"""How Lightning's trainer writes a checkpoint file, and reads one without running its content."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO

from lightning_transformer.checkpoint.frozen import put_back
from lightning_transformer.checkpoint.hashing import StreamingHash
from lightning_transformer.checkpoint.sharded import is_sharded, load_sharded
from lightning_transformer.runs.atomic import atomic_path
from lightning_transformer.runs.untrusted import check_archive


class SafeCheckpointIO(CheckpointIO):
    """Checkpoint files that are complete or not there: written beside the target, synced, renamed.

    Lightning's own goes through the system's temporary folder; where that is another file system a
    crash leaves half a file. Loading never unpickles code.

    written: the digest of each file that was saved, for the manifest.
    """

    def __init__(self) -> None:
        self.written: dict[Path, dict[str, Any]] = {}

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                atomic_path(target) as beside,
                StreamingHash(beside) as digest,
                beside.open("wb") as file,
            ):
                torch.save(checkpoint, file)
            self.written = {target: digest.entry}
        except RuntimeError as error:
            # Where the disk takes no more, torch still ends its archive, and says that that failed.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        if is_sharded(Path(path)):
            return load_sharded(Path(path))
        check_archive(Path(path))
        state = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return put_back(state, Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
