"""What digests and manifest cost: a verified checkpoint against the same files only synced.

    python benchmarks/saving.py [--megabytes 200] [--rounds 7]

Both write with torch.save and put files and folder on the disk; ours adds SHA-256 of every file
and the manifest. Interleaved; the ratio is that of the wall times of one round.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import torch

from lightning_transformer.checkpoint import store
from lightning_transformer.checkpoint.io import SafeCheckpointIO
from lightning_transformer.runs.atomic import sync_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", default=None, help="where to write; a temporary folder")
    args = parser.parse_args()
    # As training leaves them: weights and two moments, in tensors of 4 MB.
    state = {str(i): torch.randn(1 << 20) for i in range(args.megabytes // 4)}
    base = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        rounds = [(plain(base, state), verified(base, state)) for _ in range(args.rounds + 1)][1:]
    finally:
        shutil.rmtree(base)
    ratios = [ours / bare for bare, ours in rounds]
    bare, ours = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(
        f"{args.megabytes} MB: written {bare:.3f} s, written and verified {ours:.3f} s; "
        f"ratio {statistics.median(ratios):.3f} [{min(ratios):.3f} .. {max(ratios):.3f}]"
    )


def plain(base: Path, state: dict[str, torch.Tensor]) -> float:
    """Seconds to write and rename a folder."""
    start = time.perf_counter()
    temporary = base / "plain.tmp"
    temporary.mkdir()
    torch.save(state, temporary / store.STATE)
    with (temporary / store.STATE).open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(temporary)
    os.rename(temporary, base / "plain")
    sync_folder(base)
    seconds = time.perf_counter() - start
    shutil.rmtree(base / "plain")
    return seconds


def verified(base: Path, state: dict[str, torch.Tensor]) -> float:
    """Seconds of the same by the protocol of checkpoint/store.py."""
    start = time.perf_counter()
    temporary = store.begin(base, 1)
    writer = SafeCheckpointIO()
    writer.save_checkpoint(state, temporary / store.STATE)
    known = {path.name: entry for path, entry in writer.written.items()}
    found = store.commit(temporary, 1, metrics={}, facts={}, known=known)
    seconds = time.perf_counter() - start
    shutil.rmtree(found.path)
    return seconds


if __name__ == "__main__":
    main()
