from __future__ import annotations

import logging
import warnings

from lightning_transformer.training.lightning_warnings import quiet_lightning


def test_adverts_and_needless_warnings_are_gone_and_others_stay(recwarn, capsys):
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    filters = list(warnings.filters)
    with quiet_lightning():
        log.info("Tip: try our product")
        log.warning("something is wrong")
        warnings.warn(
            "The 'train_dataloader' does not have many workers which may be", stacklevel=1
        )
        warnings.warn("something else is wrong", stacklevel=1)
    assert [str(warning.message) for warning in recwarn] == ["something else is wrong"]
    assert capsys.readouterr() == ("", "something is wrong\n")
    assert warnings.filters == filters
    assert logging.getLogger("lightning.pytorch").handlers == []
