"""A trained model with its tokenizer: scores, generated text and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from lightning_transformer import build
from lightning_transformer.checkpoint.run_files import RunFiles
from lightning_transformer.data.tokenizers.base import Vocabulary
from lightning_transformer.decoding.sampling import Beams
from lightning_transformer.models.base import Transformer
from lightning_transformer.tasks.base import Batch
from lightning_transformer.tasks.predict import Draft, PredictOptions


class TrainedModel:
    """The model of a run folder, in evaluation mode.

    module: the LightningModule. tokenizer: text to token ids and back. config: of the run.
    """

    def __init__(self, module: Transformer, config: DictConfig) -> None:
        self.module, self.config = module.eval(), config

    def __repr__(self) -> str:
        n = sum(p.numel() for p in self.module.parameters())
        kinds = f"{type(self.module).__name__}, {type(self.module.task).__name__}"
        return f"TrainedModel({kinds}, {n:,} parameters, on {self.module.device})"

    @property
    def tokenizer(self) -> Vocabulary:
        """The vocabulary that the model was trained with."""
        return self.module.task.vocabulary

    def to(self, device: str | torch.device | torch.dtype) -> TrainedModel:
        """Move the weights to a device, or round them to a dtype such as torch.bfloat16."""
        self.module.to(device)
        return self

    def encode(self, text: str) -> Tensor:
        """Token ids (1, T) long of a text, as the model reads it in training, on its device.

        A source of an encoder-decoder ends with the end token; a text to classify by its [CLS]
        begins with that; [MASK] in a text is the mask token.
        """
        ids = self.module.task.encode_input(text)
        return torch.from_numpy(np.asarray(ids, dtype=np.int64))[None].to(self.module.device)

    def decode(self, ids: Any) -> str:
        """The text of token ids, (T,) or (1, T)."""
        return self.tokenizer.decode(ids.cpu() if isinstance(ids, Tensor) else ids)

    @torch.no_grad()
    def __call__(self, ids: Any, *, source: Any = None) -> Tensor:
        """Scores before the softmax: (B, T, V) from token ids (B, T), or (B, C) of classes.

        V is the vocabulary's size, or the number of tags. source: (B, S), for an encoder-decoder,
        whose ids are what the decoder reads. Rows have no padding. Raises ValueError for ids of
        another shape, outside the vocabulary, or more than the model can read.
        """
        if (source is not None) != self.module.has_source:
            needed = "needs a source" if self.module.has_source else "reads no source"
            raise ValueError(f"model={type(self.module).__name__} {needed}")
        rows = self._check_ids(ids, "ids")
        batch = Batch.without_labels(rows)
        if source is not None:
            batch = batch._replace(source_ids=self._check_ids(source, "source"))
        scores, labels = self.module.task.scores(self.module.features(batch), batch)
        # A score per position comes with labels in one row of all positions.
        return scores.unflatten(0, rows.shape) if labels.ndim == 1 else scores

    def generate(
        self,
        prompts: str | Sequence[str],
        *,
        max_new_tokens: int = 200,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        stop: str | Sequence[str] = (),
        n_samples: int = 1,
        seed: int | None = None,
        beams: Beams | None = None,
        draft: TrainedModel | Draft | None = None,
        scores: bool = False,
        batch_size: int = 32,
    ) -> list[Any]:
        """What the model writes after each prompt, or for each source, without the prompt.

        temperature: 0 = the most likely token; None = 0.8 for a decoder, 0 for an encoder-decoder.
        top_k, top_p, min_p: as in Sampling. repetition_penalty: >= 1, lowers the scores of tokens
        that prompt and text hold (Keskar et al. 2019). stop: strings at which a text ends, before
        the first of them. n_samples: texts per prompt, one after the other. seed: of the draws.
        beams: beam search in place of draws, with beams.n_best texts per prompt. draft: a model of
        the same vocabulary that drafts tokens, which this one checks (Leviathan et al. 2023); what
        is written is distributed as without. scores: a `ScoredText` for each text, with its tokens
        and their log-probability. Raises ValueError for values outside their range or that do not
        go together, and for a model without text.
        """
        if type(self.module).begin is Transformer.begin:
            kind = type(self.module.task).__name__
            raise ValueError(f"a model of task {kind} generates no text; use predict(texts)")
        options = PredictOptions(
            batch_size=batch_size,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            seed=seed,
            n_samples=n_samples,
            beams=beams,
            draft=Draft(draft.module) if isinstance(draft, TrainedModel) else draft,
            scores=scores,
            given=frozenset(
                name for name, there in (("n_samples", n_samples > 1), ("stop", stop)) if there
            ),
        )
        return self.predict(prompts, options)

    def predict(
        self, texts: str | Sequence[str], options: PredictOptions | None = None
    ) -> list[Any]:
        """What the model's task predicts for each text.

        Decoder and encoder-decoder: text. Masked language model: the text with each [MASK] filled.
        Classification: (label, probability). Tagging: [(word, tag), ...].
        """
        given = [texts] if isinstance(texts, str) else list(texts)
        predictions = self.module.task.predict(self.module, given, options or PredictOptions())
        return [prediction.result() for prediction in predictions]

    def _check_ids(self, ids: Any, name: str) -> Tensor:
        rows = torch.as_tensor(ids, device=self.module.device)
        if rows.ndim != 2 or 0 in rows.shape or rows.is_floating_point():
            raise ValueError(
                f"{name} of shape {tuple(rows.shape)} must be integers (B, T), e.g. encode(text)"
            )
        if rows.shape[1] > self.module.max_len:
            raise ValueError(
                f"{name} have {rows.shape[1]} tokens; the model reads at most {self.module.max_len}"
            )
        size = self.tokenizer.size
        if rows.min() < 0 or rows.max() >= size:
            raise ValueError(f"{name} must lie in [0, {size}), the vocabulary")
        return rows.long()


def load_run(
    folder: Path | str, checkpoint: str = "best", trust: Sequence[str] = ()
) -> TrainedModel:
    """The trained model of a run folder, on the CPU; nothing in the folder is executed.

    checkpoint: best (by trainer.monitor of the run, usually the validation loss) or last. trust:
    packages, besides this one and installed plug-ins, whose components the folder's configuration
    may name.
    Raises ValueError, in one line, for a folder without such a model.
    """
    module = build.load_run(Path(folder), checkpoint, trust)
    return TrainedModel(module, RunFiles(Path(folder)).config())
