"""Renamed public names: the old ones still refer to the new ones, and warn."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import nn, settings
from xpcnn.errors import XpcnnWarning
from xpcnn.optim import SGD


@pytest.mark.parametrize(("old", "new"), [("Watch", "Hooks"), ("watched", "with_hooks"), ("inferring", "eval_mode")])
def test_an_old_name_is_the_new_one(old, new):
    with pytest.warns(XpcnnWarning, match=rf"nn\.{old}: .*; write {new}$"):
        assert getattr(nn, old) is getattr(nn, new)


def test_another_name_is_none():
    with pytest.raises(AttributeError, match=r"module 'xpcnn\.nn' has no attribute 'Wach'"):
        nn.Wach  # noqa: B018


def test_an_optimizer_s_method():
    optimizer = SGD({"a": np.ones(1)}, lr=0.1)
    with pytest.warns(XpcnnWarning, match=r"optimizer\.own: .*write optimizer\.select"):
        assert optimizer.own({"a": 1, "b": 2}) == {"a": 1}


@pytest.mark.parametrize(("new", "mib"), [(None, 5), ("7", 7)])
def test_an_environment_variable(monkeypatch, new, mib, recwarn):
    monkeypatch.setenv("XPCNN_KEPT_MIB", "5")
    monkeypatch.delenv("XPCNN_CACHE_MIB", raising=False)
    if new:
        monkeypatch.setenv("XPCNN_CACHE_MIB", new)
    assert settings.cache_bytes() == mib << 20
    assert ["write XPCNN_CACHE_MIB" in str(each.message) for each in recwarn] == ([] if new else [True])
