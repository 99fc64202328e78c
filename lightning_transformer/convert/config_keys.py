"""The keys of a config.json, each of which is read, known to have no effect, or refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

REQUIRED = object()
# What does not change the output of the model, or is read elsewhere: the ids by the tokenizer.
WITHOUT_EFFECT = frozenset(
    {
        *(
            "architectures",
            "model_type",
            "_name_or_path",
            "_model_name_or_path",
            "transformers_version",
            "torch_dtype",
        ),
        *("dtype", "use_cache", "gradient_checkpointing", "chunk_size_feed_forward"),
        *("output_attentions", "output_hidden_states", "return_dict", "problem_type"),
        *("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id"),
        *("decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "unk_token_id"),
        *("id2label", "label2id", "num_labels", "classifier_dropout", "classif_dropout"),
        *("initializer_range", "initializer_factor", "init_std", "pretraining_tp", "vocab_size"),
        *("task_specific_params", "_attn_implementation", "attn_implementation", "num_beams"),
        *("early_stopping", "length_penalty", "max_length", "min_length", "no_repeat_ngram_size"),
        *("is_encoder_decoder", "is_llama_config", "prefix"),
    }
)


class Keys:
    """A config.json that is read key by key; what is left at the end is unknown.

    names: of the tensors beside it. path: of the file, for messages.
    """

    def __init__(
        self, content: Mapping[str, Any], names: Collection[str] = (), path: Path | str = "config"
    ) -> None:
        self.path, self.names = path, names
        self._rest = {k: v for k, v in content.items() if k not in WITHOUT_EFFECT}

    def take(self, key: str, default: Any = REQUIRED) -> Any:
        """The value of a key. Raises ValueError where it is missing and has no default."""
        value = self._rest.pop(key, default)
        if value is REQUIRED:
            raise ValueError(f"{self.path} has no {key}; save the model again with its library")
        return value

    def without_effect(self, *keys: str) -> None:
        """Pass over keys that change nothing in this family."""
        for key in keys:
            self._rest.pop(key, None)

    def only(self, key: str, *allowed: Any) -> None:
        """Refuse a value, where the key is there, that there is nothing for here."""
        value = self._rest.pop(key, allowed[0])
        if value not in allowed:
            shown = " or ".join("null" if a is None else str(a).lower() for a in allowed)
            raise ValueError(f"{self.path}: {key}={value} has no counterpart here; only {shown}")

    def end(self) -> None:
        """Raise ValueError for keys that nobody has asked for: they may change what is computed."""
        if self._rest:
            key = next(iter(self._rest))
            raise ValueError(
                f"{self.path}: {key}={self._rest[key]} is a key that this version does not know; "
                "remove it only if it does not change what the model computes"
            )
