"""What the families share: options named otherwise, widths, rotations, and the first segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.names import Rules

if TYPE_CHECKING:
    from torch import Tensor

Sizes = dict[str, Any]  # overrides: key or group -> value
Config = Mapping[str, Any]  # content of a config.json, or our resolved configuration

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


class Family(Protocol):
    """What a module of a family offers.

    PREFIX: before the names of the model without its head. ARCHITECTURE: the class of the whole
    one. POSITIONS: the key for their number, of families that learn them.
    """

    PREFIX: str
    ARCHITECTURE: str
    RULES: Rules
    POSITIONS: str

    def sizes(self, keys: Keys) -> Sizes:
        """Overrides, with preset=, that make the model of a config.json."""

    def positions(self, config: Config) -> int | None:
        """How many learned positions there are; None where none are learned."""

    def describe(self, ours: Config) -> dict[str, Any]:
        """The config.json of a resolved configuration; ValueError for what it cannot say."""

    def convert(self, theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
        """A state dict of Hugging Face under our names and in our shapes."""

    def restore(self, ours: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
        """The way back. config: of `describe`."""


def activation(keys: Keys, key: str, default: str) -> str:
    """Our option for one of their activations. Raises ValueError for others."""
    name = keys.take(key, default)
    if name not in ACTIVATIONS:
        raise ValueError(
            f"{keys.path}: {key}={name} has no counterpart here; {', '.join(ACTIVATIONS)} have one"
        )
    return ACTIVATIONS[name]


def activation_back(ours: Config) -> str:
    """Their name of an ungated activation of ours; gelu where there is none."""
    option = str(ours["activation"]["_target_"]).split(".")[-2]
    return next((theirs for theirs, name in ACTIVATIONS.items() if name == option), "gelu")


def width(hidden: int, dim: int, n_inputs: int) -> Sizes:
    """Options of the feed-forward layer that give this hidden width exactly."""
    return {
        "ffn.hidden_mult": hidden * (n_inputs + 1) / (2 * dim),
        "ffn.round_to": 8 if hidden % 8 == 0 else 1,
    }


def hidden(ours: Config, n_inputs: int) -> int:
    """The way back, as `nn.ffn.dense.hidden_width` has it."""
    node, dim = ours["ffn"], ours["model"]["d_model"]
    step = node["round_to"]
    return max(step, round(2 * node["hidden_mult"] * dim / (n_inputs + 1) / step) * step)


def rotation(keys: Keys, default: float = 10000.0) -> Sizes:
    """position= and its options, from rope_parameters or from the older rope_theta."""
    given = dict(keys.take("rope_parameters", None) or {})
    given |= keys.take("rope_scaling", None) or {}
    base = given.pop("rope_theta", keys.take("rope_theta", default))
    older = given.pop("type", "default")
    kind = given.pop("rope_type", older)
    own = {
        "default": {},
        "linear": {"factor": "factor"},
        "llama3": {
            "factor": "factor",
            "original_max_position_embeddings": "original_len",
            "low_freq_factor": "low_freq_factor",
            "high_freq_factor": "high_freq_factor",
        },
    }
    if kind not in own:
        raise ValueError(
            f"{keys.path}: rope_type={kind} has no counterpart here; {', '.join(own)} have one"
        )
    option = "rope" if kind == "default" else f"rope_{kind}"
    found: Sizes = {"position": option, "position.base": float(base)}
    if given.pop("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError(f"{keys.path}: partial_rotary_factor is read as 1.0 alone")
    for theirs, ours in own[kind].items():
        value = given.pop(theirs)
        found[f"position.{ours}"] = value if ours == "original_len" else float(value)
    if given:
        raise ValueError(f"{keys.path}: rope_parameters.{next(iter(given))} is not known here")
    return found


def rotation_back(ours: Config) -> dict[str, Any]:
    """rope_parameters of a position of ours. Raises ValueError for other positions."""
    node = ours["position"]
    kind = str(node["_target_"]).rpartition(".")[2]
    kinds = {"RoPE": "default", "RoPELinear": "linear", "RoPELlama3": "llama3"}
    if kind not in kinds:
        raise ValueError(f"position={kind} is not described by this family; use position=rope")
    found: dict[str, Any] = {"rope_type": kinds[kind], "rope_theta": node["base"]}
    if kind != "RoPE":
        found["factor"] = node["factor"]
    if kind == "RoPELlama3":
        original = node["original_len"] or int(ours["model"]["max_len"] / node["factor"])
        found["original_max_position_embeddings"] = original
        found |= {k: node[k] for k in ("low_freq_factor", "high_freq_factor")}
    return found


def first_segment(theirs: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Add the vector of the first segment, which every token has, to every position."""
    rest = dict(theirs)
    segments = rest.pop(f"{prefix}token_type_embeddings.weight")
    name = f"{prefix}position_embeddings.weight"
    rest[name] = rest[name] + segments[0]
    return rest


def no_segment(theirs: dict[str, Tensor], prefix: str, n: int) -> None:
    """Add n segments of zeros, because the positions hold the vector already."""
    row = theirs[f"{prefix}position_embeddings.weight"][0]
    theirs[f"{prefix}token_type_embeddings.weight"] = row.new_zeros(n, len(row))


def shifted_back(theirs: dict[str, Tensor], name: str, n: int) -> None:
    """Put n rows of zeros before a table: positions that no token has."""
    table = theirs[name]
    larger = table.new_zeros(len(table) + n, table.shape[1])
    larger[n:] = table
    theirs[name] = larger
