"""Compare variants of a transformer in controlled experiments, on the command line or in Python.

    import lightning_transformer as lt

    run = lt.train(["norm=dyt", "trainer.max_steps=20"])
    model = lt.load_run(run.folder)
    longer = lt.evaluate(run.folder, ["data.seq_len=256"])
    report = lt.compare("outputs/sweeps/norms")
    stack = lt.Stack(d_model=64, n_layers=2)

Names are loaded when they are first used: importing the package imports neither torch nor hydra.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

if TYPE_CHECKING:
    from lightning_transformer import compare as compare
    from lightning_transformer import evaluate as evaluate
    from lightning_transformer import nn as nn
    from lightning_transformer.api.stack import build_stack as Stack
    from lightning_transformer.api.train import train as train
    from lightning_transformer.api.trained_model import TrainedModel as TrainedModel
    from lightning_transformer.api.trained_model import load_run as load_run

__version__ = "0.1.0"

# Public name -> module and name there; None = the module itself.
_PUBLIC = {
    "Stack": ("api.stack", "build_stack"),
    "TrainedModel": ("api.trained_model", "TrainedModel"),
    "compare": ("compare", None),
    "evaluate": ("evaluate", None),
    "load_run": ("api.trained_model", "load_run"),
    "nn": ("nn", None),
    "train": ("api.train", "train"),
}
__all__ = ["Stack", "TrainedModel", "__version__", "compare", "evaluate", "load_run", "nn", "train"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    with catch_warnings():
        # From tqdm, in a notebook without ipywidgets; nothing here shows its bars.
        filterwarnings("ignore", message="IProgress not found")
        found: Any = import_module(f"{__name__}.{module}")
    return found if attribute is None else getattr(found, attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
