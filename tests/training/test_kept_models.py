"""`xpcnn train --keep-every N` keeps the untrained model and one after each N epochs; resumed runs keep the same."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import use_backend
from xpcnn.errors import OptionError
from xpcnn.io.model_file import load_model
from xpcnn.training.config import RunConfig, read_config
from xpcnn.training.kept_models import kept_models
from xpcnn.training.run import resume, start


def config(**settings):
    return RunConfig(model="mlp", epochs=4, schedule="constant", keep_every=2, **settings)


def test_models_of_every_second_epoch_are_kept(tmp_path):
    with use_backend("numpy"):
        start(config(), tmp_path / "run", verbose=False)
        found = kept_models(tmp_path / "run")
        assert list(found) == [0, 2, 4]
        models = {epoch: load_model(path).model.state_dict() for epoch, path in found.items()}
        best = load_model(tmp_path / "run" / "model.safetensors").model.state_dict()
        last = models[4]
        assert read_config(tmp_path / "run").keep_every == 2
        assert not any(np.array_equal(models[0][name], last[name]) for name in last if name.endswith("weight"))
        assert set(best) == set(last)
        (tmp_path / "run" / "epochs" / "0004.safetensors").unlink()
        resume(tmp_path / "run", verbose=False)  # it has ended: nothing is made again
        assert list(kept_models(tmp_path / "run")) == [0, 2]


def test_a_folder_with_kept_models_is_no_place_for_a_new_run(tmp_path):
    (tmp_path / "epochs").mkdir()
    with pytest.raises(OptionError, match="a folder without a run, got epochs"):
        start(config(), tmp_path, verbose=False)
    assert kept_models(tmp_path / "nowhere") == {}
