"""What trainer.compile=auto depends on besides the machine: the sizes of the model and the run."""

from omegaconf import DictConfig

# On a CPU. See docs/reference/performance.md for the measurements.
COMPILE_FROM = 1e14
LAYERS = ("n_layers", "n_encoder_layers", "n_decoder_layers")


def operations(cfg: DictConfig) -> float:
    """Floating-point operations of all steps in the weights of plain blocks.

    6 * 12 * layers * d_model^2 * steps * batch_size * seq_len: a block of dense layers has about
    12 d_model^2 weights, each of which costs 6 operations per token (Kaplan et al. 2020).
    """
    layers = sum(int(cfg.model.get(key) or 0) for key in LAYERS)
    tokens = int(cfg.trainer.max_steps) * int(cfg.data.batch_size) * int(cfg.data.seq_len)
    return 72.0 * layers * int(cfg.model.d_model) ** 2 * tokens


def is_long(cfg: DictConfig) -> bool:
    """Whether compiling the blocks pays on a CPU: from COMPILE_FROM operations on."""
    return operations(cfg) >= COMPILE_FROM
