"""`python -m lightning_transformer.export RUN --to FOLDER`: for other programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_transformer.cli.console import write_any_character
from lightning_transformer.cli.exits import OneLineParser
from lightning_transformer.convert.describe import described
from lightning_transformer.generate.run_folder import CONFIG, NAMES, check_run
from lightning_transformer.paths import PROGRAM
from lightning_transformer.runs.result import check_version, read
from lightning_transformer.runs.untrusted import stored_config

DESCRIPTION = """\
Write a trained model in the format of Hugging Face: config.json, model.safetensors, tokenizer.json,
generation_config.json and a model card, README.md. Twelve families are known: bart, bert,
deepseek_v2, gemma2, gpt2, llama, mamba2, mistral, olmo2, qwen3, roberta, t5. An adapter is merged;
--adapter writes it alone, as adapter_config.json and adapter_model.safetensors of peft.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, 2 for wrong input, 130 if interrupted."""
    write_any_character()
    parser = OneLineParser(prog=f"{PROGRAM}.export", description=DESCRIPTION)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--to", type=Path, required=True, help="folder to write, new or empty")
    parser.add_argument("--checkpoint", choices=NAMES, default="best", help="which weights")
    parser.add_argument("--adapter", action="store_true", help="the adapter alone, for peft")
    try:
        request = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
        export(request.run, request.to, request.checkpoint, adapter=request.adapter)
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    if request.adapter:
        print(f"written to {request.to}: an adapter of {read(request.run).init_from['path']}")
    else:
        print(f"written to {request.to}; its licence is left open in README.md")
    return 0


def export(run: Path, to: Path, checkpoint: str, *, adapter: bool = False) -> None:
    """Write a run's model, or its adapter alone, to a folder. Raises ValueError in one line."""
    check_run(run, checkpoint)
    check_version(run)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ValueError(f"--to {to} is not empty; name a new folder")
    ours, result = stored_config(run / CONFIG), read(run)
    option = result.choices.get("adapter", "none")
    if adapter and option in ("none", "head"):
        raise ValueError(f"--adapter: {run} has adapter={option}, which adds no part; leave it out")
    if not adapter and option in ("prompt", "prefix"):
        raise ValueError(
            f"adapter={option} of {run} cannot be merged into its weights; add --adapter, which "
            "writes it alone"
        )
    likely = (str(result.init_from.get("family")), result.choices.get("preset", ""))
    family, config = described(ours, result.choices.get("task", "?"), likely)

    from lightning_transformer.export.adapter import write_adapter  # torch takes seconds
    from lightning_transformer.export.write import write_model

    write = write_adapter if adapter else write_model
    write(run, to, checkpoint, family, config)


if __name__ == "__main__":
    sys.exit(main())
