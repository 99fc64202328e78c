"""RoBERTa (`RobertaForMaskedLM`): preset=roberta. BERT's layers; positions count from 2."""

from collections.abc import Mapping

from torch import Tensor

from lightning_transformer.convert.bert import first_segment, layers
from lightning_transformer.convert.names import Rules, renamed

UNUSED = 2  # positions before the first: the number of the padding token, and one more
RULES: Rules = (
    *layers("roberta"),
    (r"lm_head\.dense\.(\w+)", r"task.transform.linear.\1"),
    (r"lm_head\.layer_norm\.(\w+)", r"task.transform.norm.\1"),
    (r"lm_head\.decoder\.(\w+)", r"task.head.\1"),
    (r"lm_head\.bias", ""),  # the same again
)


def convert(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of Hugging Face under our names; positions hold the only segment's vector."""
    rest = first_segment(theirs, "roberta.embeddings.")
    name = "roberta.embeddings.position_embeddings.weight"
    return renamed({**rest, name: rest[name][UNUSED:]}, RULES)
