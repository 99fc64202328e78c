"""BERT (`BertForMaskedLM`): preset=bert. Tokens are taken to be of the first segment."""

from collections.abc import Mapping

from torch import Tensor

from lightning_transformer.convert.names import Rules, renamed


def layers(prefix: str) -> Rules:
    """Rules of the layers of BERT and of what was built on it."""
    theirs, ours = prefix + r"\.encoder\.layer\.(\d+)\.", r"encoder.blocks.\1."
    letter = {"q": "query", "k": "key", "v": "value"}
    return (
        *(
            (theirs + rf"attention\.self\.{name}\.(\w+)", ours + rf"attention.{q}.\2")
            for q, name in letter.items()
        ),
        (theirs + r"attention\.output\.dense\.(\w+)", ours + r"attention.out.\2"),
        (theirs + r"attention\.output\.LayerNorm\.(\w+)", ours + r"attention_residual.norm.\2"),
        (theirs + r"intermediate\.dense\.(\w+)", ours + r"ffn.up.0.\2"),
        (theirs + r"output\.dense\.(\w+)", ours + r"ffn.down.\2"),
        (theirs + r"output\.LayerNorm\.(\w+)", ours + r"ffn_residual.norm.\2"),
        (prefix + r"\.embeddings\.word_embeddings\.weight", "embedding.weight"),
        (prefix + r"\.embeddings\.position_embeddings\.weight", "encoder.position.table.weight"),
        (prefix + r"\.embeddings\.LayerNorm\.(\w+)", r"encoder.position.norm.\1"),
    )


RULES: Rules = (
    *layers("bert"),
    (r"cls\.predictions\.transform\.dense\.(\w+)", r"task.transform.linear.\1"),
    (r"cls\.predictions\.transform\.LayerNorm\.(\w+)", r"task.transform.norm.\1"),
    (r"cls\.predictions\.decoder\.(\w+)", r"task.head.\1"),
    (r"cls\.predictions\.bias", ""),  # the same again
)


def convert(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of Hugging Face under our names; positions hold the first segment's vector."""
    return renamed(first_segment(theirs, "bert.embeddings."), RULES)


def first_segment(theirs: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Add the vector of the first segment, which every token has, to every position."""
    rest = dict(theirs)
    segments = rest.pop(f"{prefix}token_type_embeddings.weight")
    rest[f"{prefix}position_embeddings.weight"] = (
        rest[f"{prefix}position_embeddings.weight"] + segments[0]
    )
    return rest
