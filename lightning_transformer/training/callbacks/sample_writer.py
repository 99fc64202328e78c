"""Generated samples at every validation, of a few validation examples."""

from pathlib import Path

import lightning as L

from lightning_transformer.models.base import Transformer
from lightning_transformer.nn import checks
from lightning_transformer.tasks.base import Sample
from lightning_transformer.training.loggers.base import RunLogger
from lightning_transformer.training.strategy import computing

SAMPLES_FILE = "samples.md"


class Samples(L.Callback):
    """Writes n samples to samples.md of the run folder and to loggers that show texts.

    Drawn with fixed seeds, so that they change only because the model does.
    """

    def __init__(self, *, n: int = 3) -> None:
        checks.at_least("n", n, 1)
        self.n = n

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Transformer)
        examples = trainer.datamodule.spread("val", self.n)  # type: ignore[attr-defined]
        # On every rank: where the model is sharded, each holds a part of it.
        with computing(trainer):
            samples = pl_module.task.demonstrate(pl_module, examples)
        if not trainer.is_global_zero:
            return
        text = "\n\n".join(map(markdown, samples))
        with (Path(trainer.default_root_dir) / SAMPLES_FILE).open("a", encoding="utf-8") as file:
            file.write(f"## step {trainer.global_step}\n\n{text}\n\n")
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.show_text("samples", text, trainer.global_step)


def markdown(sample: Sample) -> str:
    """A sample as Markdown: each part under its name, indented so that nothing in it is markup."""
    parts = zip(("given", "output", "expected", "reward"), sample, strict=True)
    return "\n\n".join(
        f"**{name}**\n\n" + "\n".join(f"    {line}" for line in text.splitlines() or [""])
        for name, text in parts
        if text
    )
