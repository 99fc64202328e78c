"""Which training examples a run has seen, as one digest, so that two runs can be compared."""

import hashlib

from lightning_transformer.data.loading.train_loader import StepLoader


def samples_sha256(loader: StepLoader, n_steps: int, data_sha256: str) -> str:
    """Return the SHA-256 of what the first n_steps saw over all ranks, in order.

    It covers data_sha256, the number of examples, and their numbers: int64, little endian, one per
    example of each step. Equal digests mean equal samples in equal order, however a step is cut
    into ranks and micro-batches, and wherever the run was stopped and resumed. Steps skipped
    after a spike are not in it. Computed on request: training pays nothing for it.
    """
    digest = hashlib.sha256(f"{data_sha256} {loader.n_examples}\n".encode())
    for step in range(n_steps):
        digest.update(loader.sample_ids(step).astype("<i8").tobytes())
    return digest.hexdigest()
