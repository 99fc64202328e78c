"""`python -m lightning_transformer.generate RUN_FOLDER --prompt "..."`: use a trained model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lightning_transformer.cli.console import discard, write_any_character
from lightning_transformer.generate.annotated import Annotated, open_annotated, predictions
from lightning_transformer.generate.arguments import GenerateRequest, parse, with_piped
from lightning_transformer.generate.output import Output
from lightning_transformer.generate.run_folder import CONFIG, check_run
from lightning_transformer.runs.untrusted import stored_config
from lightning_transformer.tasks.predict import Draft


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, 2 for wrong input, 130 if interrupted."""
    write_any_character()
    try:
        request = parse(sys.argv[1:] if arguments is None else arguments)
        check_run(request.run, request.checkpoint)
        if request.draft is not None:
            check_run(request.draft, "best")
        request = with_piped(request)
        file = _opened(request)
        model, request = _load(request)
        if file is None:
            predict(model, request, Output())
        else:
            annotate(model, file, request, Output())
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        discard(sys.stdout)
        return 141
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def predict(model: Any, request: GenerateRequest, output: Output) -> None:
    """Write the predictions of a model's task for the texts of a request."""
    options = replace(request.options, streams=output.is_terminal, remark=output.remark)
    task = model.task
    texts = task.read_prompts(request.piped) if request.texts is None else request.texts
    for prediction in task.predict(model, texts, options):
        if prediction.title:
            output.header(f"--- {prediction.title} ---")
        output.prompt(prediction.prompt)
        try:
            for piece in prediction.pieces:
                output.write(piece)
        finally:  # also when interrupted
            output.write(prediction.rest() + "\n")


def _opened(request: GenerateRequest) -> Annotated | None:
    """The file of --format, checked before a model is loaded."""
    if request.format is None or request.file is None:
        return None
    data = stored_config(request.run / CONFIG).get("data")
    options = data if isinstance(data, dict) else {}
    return open_annotated(request.file, request.format, request.name, request.text_key, options)


def annotate(model: Any, file: Annotated, request: GenerateRequest, output: Output) -> None:
    """Write a file with the predictions of a model's task added to it."""
    assert request.format is not None
    options = replace(request.options, remark=output.remark)
    found = predictions(model.task, model, file, request.format, options)
    for line in file.written(found):
        output.write(f"{line}\n")


def _load(request: GenerateRequest) -> tuple[Any, GenerateRequest]:
    """The model, and the request with the model that drafts, if there is one."""
    import torch  # takes seconds, so only after all checks that do not need it

    from lightning_transformer.build import load_run

    device = request.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device=cuda, but torch sees no GPU here; use --device auto or cpu")
    precisions = {None: None, "fp32": torch.float32, "bf16": torch.bfloat16}
    dtype = precisions[request.precision]
    model = load_run(request.run, request.checkpoint, request.trust).to(device, dtype)
    if request.draft is None:
        return model, request
    drafter = load_run(request.draft, "best", request.trust).to(device, dtype)
    options = replace(request.options, draft=Draft(drafter, request.n_draft))
    return model, replace(request, options=options)


if __name__ == "__main__":
    sys.exit(main())
