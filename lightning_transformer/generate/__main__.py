"""`python -m lightning_transformer.generate RUN_FOLDER --prompt "..."`: use a trained model."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from lightning_transformer.generate.arguments import GenerateRequest, parse, with_piped
from lightning_transformer.generate.output import Output
from lightning_transformer.generate.run_folder import check_run


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer the request; return the exit status: 0, 2 for wrong input, 130 if interrupted."""
    try:
        request = parse(sys.argv[1:] if arguments is None else arguments)
        check_run(request.run, request.checkpoint)
        _answer(with_piped(request), Output())
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _answer(request: GenerateRequest, output: Output) -> None:
    # Only now, because torch takes seconds.
    from lightning_transformer.generate.answer import (
        causal_lm,
        classification,
        masked_lm,
        seq2seq,
        tagging,
    )
    from lightning_transformer.tasks.causal_lm import CausalLM
    from lightning_transformer.tasks.classification import Classification
    from lightning_transformer.tasks.masked_lm import MaskedLM
    from lightning_transformer.tasks.seq2seq import Seq2Seq
    from lightning_transformer.tasks.tagging import Tagging

    model = _load(request)
    for task, answer in (
        (CausalLM, causal_lm.answer),
        (Seq2Seq, seq2seq.answer),
        (MaskedLM, masked_lm.answer),
        (Classification, classification.answer),
        (Tagging, tagging.answer),
    ):
        if isinstance(model.task, task):
            answer(model, request, output)
            return
    raise ValueError(
        f"{request.run} was trained for {type(model.task).__name__}, which has no text"
    )


def _load(request: GenerateRequest) -> Any:
    import torch

    from lightning_transformer.build import load_run

    device = request.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device=cuda, but torch sees no GPU here; use --device auto or cpu")
    return load_run(request.run, request.checkpoint, request.trust).to(device)


if __name__ == "__main__":
    sys.exit(main())
