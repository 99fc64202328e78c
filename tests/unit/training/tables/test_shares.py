"""Accuracy by place or length, as a file and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lightning_transformer.training.tables.shares import specification, write_shares


def test_the_file_has_what_was_measured_and_the_picture_the_floor(tmp_path: Path) -> None:
    counts = np.array([[0, 0], [3, 4], [0, 0], [1, 2]])
    picture = write_shares(tmp_path, "by_length", counts, 1.0)
    wanted = "number,accuracy,n\n1,0.75,4\n3,0.5,2\n"
    assert (tmp_path / "by_length.csv").read_text() == wanted
    assert (tmp_path / "by_length.png").read_bytes() == picture
    assert picture.startswith(b"\x89PNG")
    plot = specification("by_length", [(1, 0.75, 4)], 0.9)
    assert plot["layer"][1]["data"]["values"] == [{"accuracy": 0.9}]
    assert len(specification("by_length", [(1, 0.75, 4)], None)["layer"]) == 1
