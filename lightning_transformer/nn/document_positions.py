"""Positions in rows that hold several documents."""

import torch
from torch import Tensor


def document_positions(places: Tensor, documents: Tensor) -> Tensor:
    """Position of each token in its document: places (T,), documents (B, T) -> (B, T).

    places: positions in the row, ascending. documents: the number of each token's document; a
    document starts wherever the number changes.
    """
    starts = torch.ones_like(documents, dtype=torch.bool)
    starts[:, 1:] = documents[:, 1:] != documents[:, :-1]
    return places - torch.where(starts, places, 0).cummax(dim=1).values


def row_positions(places: Tensor, padding: Tensor | None, documents: Tensor | None) -> Tensor:
    """Positions ([B,] T) of tokens at places (T,): of each document, or of those that are no pads.

    documents (B, T): number of each token's document. padding (B, T): True = pad.
    """
    if documents is not None:
        return document_positions(places, documents)
    if padding is not None:
        return ((~padding).long().cumsum(dim=1) - 1).clamp(min=0)
    return places
