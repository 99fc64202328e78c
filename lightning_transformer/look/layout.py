"""Rows of tokens in lines of a console: what belongs together stands above each other."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from lightning_transformer.look.rows import DIM, TARGET, Row, TokenCell, Track, Tracks

GUTTER = 9  # letters for the name of a track
BORDER = "cyan"


def lines(row: Row, width: int, border: str) -> Iterator[Text]:
    """The lines of a row for a console of so many letters."""
    for block in row.blocks:
        grid = Grid.of(block)
        for start, end in grid.pieces(max(width - GUTTER, 20)):
            yield from (grid.line(track, start, end, border) for track in block.tracks)
        if block.left_out:
            yield Text(" " * GUTTER + block.left_out, DIM)
    for name, text in row.facts:
        yield Text.assemble((f"{name:{GUTTER}}", DIM), (text, TARGET if name else DIM))


@dataclass(frozen=True)
class Grid:
    """Where the places of a block begin, in letters from its first one.

    begins: (n + 1,) the last is where the block ends. A border takes the first two letters of a
    place. covered: places that a cell of an earlier place reaches into.
    """

    block: Tracks
    begins: list[int]
    covered: frozenset[int]

    @classmethod
    def of(cls, block: Tracks) -> "Grid":
        """Give each place the letters that it needs, and a space.

        A cell may go on below the next ones where its own track has nothing.
        """
        first, *others = block.tracks
        widths = [1 + cell_len(cell.text) for cell in first.cells]
        for track in others:
            for at, end in _runs(track.cells):
                lacking = 1 + cell_len(track.cells[at].text) - sum(widths[at:end])
                widths[end - 1] += max(0, lacking)
        widths = [w + 2 * (at in block.borders) for at, w in enumerate(widths)]
        begins = [0, *itertools.accumulate(widths)]
        covered = set()
        for track in others:
            for at, end in _runs(track.cells):
                reach = begins[at] + 2 * (at in block.borders) + cell_len(track.cells[at].text)
                covered |= {place for place in range(at + 1, end) if begins[place] < reach}
        return cls(block, begins, frozenset(covered))

    def pieces(self, room: int) -> Iterator[tuple[int, int]]:
        """Cut the places into lines of so many letters, never below a cell that goes on."""
        n, start = len(self.begins) - 1, 0
        while start < n:
            end = start + 1
            for at in range(start + 1, n + 1):
                if self.begins[at] - self.begins[start] > room and end > start + 1:
                    break
                end = at if at not in self.covered else end
            yield start, max(end, start + 1)
            start = max(end, start + 1)

    def line(self, track: Track, start: int, end: int, border: str) -> Text:
        """One line of a track: its places from start to before end."""
        line = Text.assemble((f"{track.name:{GUTTER}}", DIM), no_wrap=True, overflow="ignore")
        at_letter = 0  # what is written so far
        for at in range(start, end):
            begin = self.begins[at] - self.begins[start]
            if at in self.block.borders:
                if not 0 < begin <= at_letter:
                    line.append(" " * (begin - at_letter)).append(border, BORDER)
                    at_letter = begin + cell_len(border)
                begin += 2
            if 0 < begin <= at_letter:
                continue  # an earlier cell goes on here
            cell = track.cells[at]
            line.append(" " * (begin - at_letter)).append(cell.text, cell.style)
            at_letter = begin + cell_len(cell.text)
        return line


def _runs(cells: Sequence[TokenCell]) -> Iterator[tuple[int, int]]:
    """The place of each cell that counts, and that of the next one."""
    places = [at for at, cell in enumerate(cells) if cell.counts]
    return zip(places, [*places[1:], len(cells)], strict=True) if places else iter(())
