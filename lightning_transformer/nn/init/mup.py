"""Maximal update parametrisation (Yang et al. 2022)."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from lightning_transformer.nn import checks
from lightning_transformer.nn.init.base import InitsWeights, NormalTables, StackInfo
from lightning_transformer.nn.linear import Head
from lightning_transformer.nn.norm.scaled_l2norm import ScaledL2Norm
from lightning_transformer.nn.residual.depth_attention import DepthRead
from lightning_transformer.nn.scaled_vector import ScaledVector
from lightning_transformer.nn.stack import Stack


@dataclass(frozen=True)
class Mup(NormalTables):
    """Maximal update parametrisation: what is tuned at one width holds at any (Yang et al. 2022).

    With m = d_model / base_width, for Adam's kind of update (their table 8):

        weights in stacks    N(0, std^2 / m), learning rate / m
        embeddings           N(0, embedding_std^2), learning rate as it is
        output layer         N(0, std^2), its input times 1 / m; a tied one is the embedding
        attention            scores times sqrt(base_head_dim) / head_dim

    At the base width and head size it is init=normal. Every size within a layer is taken to grow
    with d_model, heads in number or in width; biases and gains learn as they do otherwise. Weight
    decay stays the same per step. Raises ValueError for parts that scale with the width on their
    own.
    """

    base_width: int = 128
    base_head_dim: int = 32
    std: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least("base_width", self.base_width, 1)
        checks.at_least("base_head_dim", self.base_head_dim, 1)
        checks.positive("std", self.std, 0.02)

    def linear(self, weight: Tensor, info: StackInfo, generator: Generator) -> None:
        # a matrix beside the stacks, such as a pooling's, has its own number of inputs
        width = info.width or weight.shape[1]
        std = self.std * (self.base_width / width) ** 0.5
        nn.init.normal_(weight, std=std, generator=generator)

    def head(self, weight: Tensor, generator: Generator) -> None:
        nn.init.normal_(weight, std=self.std, generator=generator)

    def lr_scale(self, module: nn.Module, info: StackInfo) -> float:
        if isinstance(module, Head | nn.Embedding):
            return 1.0
        inputs = module.in_features if isinstance(module, nn.Linear) else self.base_width
        return self.base_width / (info.width or inputs)

    def configure_model(self, model: nn.Module) -> None:
        widths = [stack.d_model for stack in model.modules() if isinstance(stack, Stack)]
        for name, module in model.named_modules():
            if isinstance(module, Head):
                width = widths[0] if widths else module.in_features
                module.multiplier = self.base_width / width
            elif isinstance(module, nn.Embedding) and getattr(module, "scale", 1.0) != 1.0:
                raise ValueError(
                    "embedding=scaled grows with sqrt(d_model), which init=mup must not have; "
                    "use embedding=plain"
                )
            elif isinstance(module, ScaledVector | ScaledL2Norm | DepthRead):
                raise ValueError(
                    f"init=mup has no rule for {name}, which learns faster in a wider model; "
                    "use init=depth_scaled"
                )
            elif hasattr(module, "has_scores"):
                self._adapt_scores(module)
        known = self._known(model)
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 and id(parameter) not in known:
                raise ValueError(
                    f"init=mup has rules for linear layers and embeddings, and none for {name}; "
                    "use init=depth_scaled"
                )

    def _adapt_scores(self, attention: nn.Module) -> None:
        head_dim, scale = getattr(attention, "head_dim", None), getattr(attention, "scale", 0.0)
        own = self.base_head_dim**0.5 / head_dim if isinstance(head_dim, int) else 0.0
        if scale not in (None, own):  # it may have been set here before
            raise ValueError(
                f"init=mup sets the scale of attention scores, and {type(attention).__name__} has "
                f"{f'its own, {scale:g}' if scale else 'none'}; use attention=mha with "
                "attention.scale=null"
            )
        if head_dim != self.base_head_dim:
            attention.scale = own  # type: ignore[assignment]

    @staticmethod
    def _known(model: nn.Module) -> set[int]:
        found: set[int] = set()
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Embedding | InitsWeights):
                found.update(id(p) for p in module.parameters(recurse=False))
        return found
