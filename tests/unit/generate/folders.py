"""Run folders as training leaves them, with random weights and without the training."""

from __future__ import annotations

from pathlib import Path

from lightning_transformer.build import build_model
from lightning_transformer.checkpoint.run_files import RunFiles
from lightning_transformer.config.validate import plain
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.data.tokenizers.bytes import ByteVocabulary
from lightning_transformer.runs.result import RunResult
from tests.conftest import LABELS, compose_config
from tests.helpers.short_runs import leave_checkpoint

SMALL = ("model.d_model=32", "data.seq_len=16", "init.std=0.3", "tie_embeddings=false")
KINDS = {
    "causal_lm": ("model.n_layers=1",),
    "seq2seq": ("model=encoder_decoder", "model.n_encoder_layers=1", "model.n_decoder_layers=1"),
    "masked_lm": ("model=encoder_only", "model.n_layers=1"),
    "classification": ("model=encoder_only", "task=classification", "model.n_layers=1"),
    "tagging": ("model=encoder_only", "task=tagging", "model.n_layers=1"),
}


def make_run(
    folder: Path, kind: str, *overrides: str, vocabulary: Vocabulary | None = None
) -> Path:
    """Write a finished run of a kind, and return its folder."""
    init = "init=normal"  # the default one leaves the blocks silent at first
    cfg = compose_config(init, *KINDS[kind], *SMALL, *overrides)
    words = vocabulary or ByteVocabulary()
    model = build_model(cfg, vocabulary=words, labels=LABELS, seed=int(cfg.seed))
    files = RunFiles(folder)
    folder.mkdir(parents=True)
    files.save(plain(cfg), words, LABELS)
    leave_checkpoint(folder, {"state_dict": model.state_dict()})
    RunResult(status="finished").write(folder)
    return folder
