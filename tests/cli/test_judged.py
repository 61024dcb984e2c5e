"""`xpcnn eval` and `xpcnn plot` judge a model on what it has not learned from, and say which images these are."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from xpcnn import plot
from xpcnn.cli import main
from xpcnn.data import load
from xpcnn.data.digests import image_digests
from xpcnn.training import evaluate
from xpcnn.training.config import RunConfig
from xpcnn.training.run import start
from xpcnn.training.trained_on import TRAINED_ON, read

image = pytest.importorskip("PIL.Image")


def put(folder, count: int, rng, names=("dark", "light")) -> None:
    """So many pictures of each class, all different."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            pixels = np.clip(rng.normal(60 if name == "dark" else 190, 30, (4, 4)), 0, 255).astype("uint8")
            image.fromarray(pixels).save(folder / name / f"{rng.integers(10**9)}.png")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder of forty pictures, and a run on it: 28 to train on, 4 to validate, 8 to test on."""
    folder = tmp_path_factory.mktemp("judged")
    put(folder / "tones", 20, np.random.default_rng(0))
    start(RunConfig(str(folder / "tones"), model="mlp", epochs=2, validation=0.125), folder / "run", verbose=False)
    return folder


@pytest.fixture
def place(finished, tmp_path, monkeypatch):
    """The same in the working folder, to be changed."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished / "run", "run")
    shutil.copytree(finished / "tones", "tones")
    config = (tmp_path / "run" / "config.json").read_text().replace(str(finished), str(tmp_path))
    (tmp_path / "run" / "config.json").write_text(config)
    return tmp_path


@pytest.fixture
def say(capsys):
    """The exit status, output and errors of `xpcnn eval run …`."""

    def run(*words: object, command=("eval", "run")) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as end, warnings.catch_warnings(action="always"):
            main([*command, *map(str, words)])
        told = capsys.readouterr()
        return end.value.code, told.out, told.err

    return run


def learned_from(path) -> bool:
    """True if the run in the working folder was trained or validated on this picture."""
    kept = read(Path("run"))
    digest = image_digests(np.array(image.open(path))[None], 255)
    return bool(np.isin(digest, kept.all()).any())


def number(output: str) -> int:
    """Of how many images the accuracy is, which are those of the confusion matrix."""
    (count,) = re.findall(r"accuracy [\d.]+% \(\d+ of (\d+)\)", output)
    matrix = [line.split()[1:] for line in output.partition("predicted\n")[2].splitlines()[2:]]
    assert np.array(matrix, int).sum() == int(count)
    return int(count)


def test_of_the_run_s_own_data_the_test_part(place, say):
    code, output, errors = say("tones")
    assert (code, errors, number(output)) == (0, "", 8)
    assert output.startswith("test accuracy ")
    (place / "moved").mkdir()
    shutil.move("tones", "moved/elsewhere")
    assert say("moved/elsewhere")[1:] == (output, "")  # known by its pictures


def test_of_data_that_have_grown_only_what_was_not_learned_from(place, say, rng):
    put(place / "tones", 3, rng)
    code, output, errors = say("tones")
    assert (code, errors, number(output)) == (0, "", 14)
    assert output.startswith("14 of 46 images; 32 are left out, which the run was trained or validated on\nunseen acc")
    for path in (place / "tones" / "dark").iterdir():
        path.rename(path.with_name(f"{rng.integers(10**9)}-{path.name}"))
    assert say("tones") == (0, output, "")


def test_pictures_that_were_taken_away_change_nothing_for_the_others(place, say):
    seen, before = read(place / "run"), number(say("tones")[1])
    for path in sorted((place / "tones" / "dark").iterdir())[:10]:
        path.unlink()
    code, output, errors = say("tones")
    assert (code, errors) == (0, "")
    assert number(output) <= before
    assert len(seen.train) + len(seen.validation) == 32


def test_data_whose_contents_were_replaced_are_not_taken_for_the_run_s_without_a_word(place, say, rng):
    for path in (place / "tones").glob("*/*.png"):
        image.fromarray(rng.integers(0, 256, (4, 4), np.uint8)).save(path)
    code, output, errors = say("tones")
    assert (code, number(output)) == (0, 40)
    assert "of 32 images that the run has learned from only 0 are among these 40" in errors


def test_nothing_is_left_where_all_of_it_was_learned_from(place, say):
    tested = [path for path in (place / "tones").glob("*/*.png") if not learned_from(path)]
    assert len(tested) == 8
    for path in tested:
        path.unlink()
    code, output, errors = say("tones")
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert "neither trained nor validated on, got none among 32; --part all judges all of them" in errors
    code, output, errors = say("tones", "--part", "all")
    assert (code, number(output)) == (0, 32)
    assert "the run was trained or validated on 32 of these 32 images" in errors


def test_other_data_are_all_judged(place, say, rng):
    put(place / "others", 15, rng)
    code, output, errors = say("others")
    assert (code, errors, number(output)) == (0, "", 30)
    assert output.startswith("all 30 images of others\noverall accuracy ")
    shutil.copy(
        next(filter(learned_from, (place / "tones" / "dark").iterdir())), place / "others" / "dark" / "copied.png"
    )
    code, output, errors = say("others")
    assert (code, number(output)) == (0, 31)
    what = "the run was trained or validated on 1 of these 31 images; --part unseen leaves them out"
    assert errors == f"xpcnn: warning: others: {what}\n"
    code, output, errors = say("others", "--part", "unseen")
    assert (code, errors, number(output)) == (0, "", 30)


def test_of_other_data_the_part_that_they_state(place, say, rng):
    put(place / "others" / "train", 10, rng)
    put(place / "others" / "Testing", 5, rng, names=("light",))
    code, output, errors = say("others")
    assert (code, errors, number(output)) == (0, "", 5)
    assert output.startswith(
        "the 5 images to test on (train/ and Testing/); with --part all, all 25 are judged\ntest acc"
    )
    for part, count in (("all", 25), ("train", 20), ("test", 5), ("unseen", 25)):
        code, output, errors = say("others", "--part", part)
        assert (code, errors, number(output)) == (0, "", count)


def test_the_parts_of_the_run_s_own_data(place, say):
    for part, count in (("test", 8), ("train", 32), ("validation", 4), ("unseen", 8), ("all", 40)):
        code, output, errors = say("tones", "--part", part)
        assert (code, number(output)) == (0, count)
        assert ("trained or validated on 32 of these 40" in errors) is (part == "all")


def test_another_choice_of_what_is_held_out_is_not_taken_without_a_word(place, say):
    code, output, errors = say("tones", "--option", "seed=5")
    assert (code, number(output)) == (0, 8)
    assert re.search(r"trained or validated on \d of these 8 images; --part unseen", errors)
    code, output, errors = say("tones", "--option", "test_fraction=0.1")
    assert (code, errors, number(output)) == (0, "", 4)  # a half of those


@pytest.mark.parametrize("folders", [["test/dark", "test/light"], ["val/dark"], ["light"], ["test/light"]])
def test_pictures_to_test_on_alone(place, say, rng, folders):
    for folder in folders:
        put((place / "alone" / folder).parent, 3, rng, names=(folder.rpartition("/")[2],))
    code, output, errors = say("alone")
    assert (code, errors, number(output)) == (0, "", 3 * len(folders))


def test_a_class_that_the_model_does_not_know(place, say, rng):
    put(place / "alone", 3, rng, names=("green",))
    code, _, errors = say("alone")
    assert (code, errors.count("\n")) == (2, 1)
    assert "the model's classes: dark, light, got green" in errors


def test_arrays_to_test_on_alone(place, say, rng):
    h5py = pytest.importorskip("h5py")
    x, y = rng.integers(0, 256, (7, 4, 4), np.uint8), np.array(["dark", "light"])[np.arange(7) % 2]
    np.savez("a.npz", x_test=x, y_test=y)
    np.savez("b.npz", test_images=x.reshape(7, 16), test_labels=y)
    np.savez("c.npz", x=x, y=["light"] * 7)
    np.save("x_test.npy", x)
    np.save("y_test.npy", y)
    rows = [",".join([label, *map(str, row)]) for label, row in zip(y, x.reshape(7, 16), strict=True)]
    (place / "test.csv").write_text("\n".join(rows) + "\n")
    with h5py.File("d.h5", "w") as file:
        file.update(
            {"test_set_x": x[..., None], "test_set_y": np.arange(7) % 2, "list_classes": np.array([b"dark", b"light"])}
        )
    for name in ("a.npz", "b.npz", "c.npz", "x_test.npy", "test.csv", "d.h5"):
        code, output, errors = say(name)
        assert (code, errors, number(output)) == (0, "", 7), name
    code, _, errors = say("a.npz", "--part", "train")
    assert (code, errors.count("\n")) == (2, 1)
    assert "a.npz: expected a part called train, got none; --part all" in errors


def test_other_data_are_read_as_the_run_s_were(tmp_path, monkeypatch, say, rng):
    monkeypatch.chdir(tmp_path)
    x, y = rng.integers(0, 256, (30, 3, 4, 4), np.uint8), np.arange(30) % 2
    for name, part in (("own", slice(20)), ("other", slice(20, 30))):
        np.savez(f"{name}.npz", x=x[part], y=y[part])
    options = {"channels_first": True, "classes": ["cat", "dog"], "test_fraction": 0.5}
    start(RunConfig(str(tmp_path / "own.npz"), model="mlp", epochs=1, options=options), tmp_path / "run", verbose=False)
    assert [number(say(name)[1]) for name in ("own.npz", "other.npz")] == [10, 10]


def test_a_picture_of_colours_changes_nothing_for_the_others(place, say):
    """The model wants grey ones of its size, whatever has come."""
    image.new("RGB", (9, 5), (200, 180, 190)).save(place / "tones" / "light" / "new.png")
    code, output, errors = say("tones")
    assert (code, errors, number(output)) == (0, "", 9)


def test_a_run_that_does_not_say_what_it_was_trained_on(place, say, rng):
    (place / "run" / TRAINED_ON).unlink()
    code, output, errors = say("tones")
    assert (code, number(output)) == (0, 8)
    assert "tones: the run is of an older xpcnn, and does not say which images it was trained on" in errors
    put(place / "others", 5, rng)
    assert [number(say("others")[1]), say("others")[2]] == [10, ""]
    code, _, errors = say("tones", "--part", "unseen")
    assert (code, errors.count("\n")) == (2, 1)
    assert "--part: expected for unseen, the folder of a run" in errors


def test_a_model_s_file_alone_is_judged_on_everything(place, say):
    shutil.copy(place / "run" / "model.safetensors", place / "model.safetensors")
    code, output, errors = say("tones", command=("eval", "model.safetensors"))
    assert (code, errors, number(output)) == (0, "", 40)
    assert output.startswith("all 40 images of tones; the model does not say which images it was trained on\noverall")


@pytest.mark.parametrize("convert", [np.uint8, lambda x: x / 255, lambda x: 257 * x.astype(np.uint16)])
def test_images_are_known_in_another_form_of_numbers(place, say, convert):
    paths = sorted((place / "tones").glob("*/*.png"))
    names = np.array([path.parent.name for path in paths])
    np.savez("other.npz", x=convert(np.stack([np.array(image.open(path)) for path in paths])), y=names)
    code, output, errors = say("other.npz", "--part", "all")
    assert (code, number(output)) == (0, 40)
    assert "the run was trained or validated on 32 of these 40 images" in errors
    assert say("other.npz")[1].startswith("test accuracy")


@pytest.mark.parametrize("kind", ["confusion", "wrong"])
def test_plots_take_the_same_images(place, say, rng, monkeypatch, kind):
    pytest.importorskip("matplotlib")
    drawn = []

    def noted(real):
        return lambda model, split, *rest, **more: drawn.append(len(split)) or real(model, split, *rest, **more)

    monkeypatch.setattr("xpcnn.cli.plot.evaluate", noted(evaluate))
    monkeypatch.setattr("xpcnn.plot.most_wrong", noted(plot.most_wrong))
    put(place / "tones", 3, rng)
    put(place / "others", 5, rng)
    for words, count in ((("tones",), 14), (("others",), 10), (("tones", "--part", "test"), len(load("tones").test))):
        code, output, errors = say(*words, command=("plot", kind, "run"))
        assert (code, drawn[-1]) == (0, count)
        assert re.fullmatch(rf"{kind}(-\d)?\.png\n", output)
        assert "--part" in words or str(count) in errors
