"""The one error that means: the user can fix this."""


class ConfigError(ValueError):
    """A configuration that cannot work: one line that names the key, the rule and a way out."""
