"""The errors that mean: the user can do something about this. One line each, no traceback."""


class ConfigError(ValueError):
    """A configuration that cannot work: one line that names the key, the rule and a way out."""


class TrainingError(RuntimeError):
    """A training that must not go on: one line that says where, what, and how to go on."""


class Stopped(Exception):
    """A signal ended a run; its result.json says so, and a checkpoint is there if one could be."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
