"""Documents that are there twice."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

from lightning_transformer.data.cleaning.base import Dropped, Stage, Texts
from lightning_transformer.data.cleaning.digest_set import DigestSet


@dataclass
class ExactDuplicates(Stage):
    """Removes a document whose texts are those of an earlier one.

    Earlier is: in an earlier split of test, val, train, or before it in the same split. So of a
    document in train and test the one in train goes. Labels are not looked at.

    Texts are equal where their 64-bit digests are: among n documents one is taken for another with
    a chance of n**2 / 2**65, 3 in 10,000 for 100 million. Memory: see `DigestSet`.
    """

    order: ClassVar[int] = 40

    def begin(self) -> None:
        self._seen = DigestSet()

    def clean(self, split: str, texts: Texts) -> Texts | Dropped:
        digest = hashlib.blake2b(digest_size=8)
        for text in texts:
            content = text.encode("utf-8", "surrogatepass")
            digest.update(b"%d " % len(content))
            digest.update(content)
        new = self._seen.add(int.from_bytes(digest.digest(), "big"))
        return texts if new else Dropped("equal to an earlier one")
