"""Who may judge whom."""

import pytest
import torch

from ltad.training.folds import deal_folds


@pytest.mark.parametrize("folds", [2, 3])
def test_each_class_is_dealt_evenly(folds: int) -> None:
    class_ids = torch.tensor([1] * 7 + [0] * 2 + [2] + [3] * 12)
    dealt = deal_folds(class_ids, folds, seed=0)
    for class_id in (0, 1, 3):
        counts = dealt[class_ids == class_id].bincount(minlength=folds)
        assert counts.max() - counts.min() <= 1
    assert dealt[class_ids == 2].tolist() == [-1]  # seen by every fold's model
    assert torch.equal(dealt, deal_folds(class_ids, folds, seed=0))
    assert not torch.equal(dealt, deal_folds(class_ids, folds, seed=1))
