"""`evaluate` states the metrics of its task, as scikit-learn does; batches of any size, and several ranks, state the
same; the history and its files hold them, and no network of several labels has an accuracy of NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn

from xpcnn.data import Loader, Split
from xpcnn.nn import BCEWithLogitsLoss, CrossEntropyLoss, DiceLoss, Flatten, Identity, Linear, MSELoss, Sequential
from xpcnn.optim import Adam
from xpcnn.training import CSVLog, Trainer, evaluate, metrics
from xpcnn.training.gradients import correct_items
from xpcnn.training.history import from_document, read_csv, to_document, write_csv
from xpcnn.training.tallies import in_turn, joined, tally

N = 23


def outputs(model, split):
    return np.asarray(model(split.images.astype("float32")), np.float64)


@pytest.fixture
def labelled():
    rng = np.random.default_rng(0)
    images = rng.random((N, 2, 3, 1)).astype("f4")
    labels = (images.reshape(N, 6)[:, :4] + rng.normal(0, 0.3, (N, 4)) > 0.5).astype("f4")
    return Sequential(Flatten(), Linear(6, 4, rng=0)), Split(images, labels, 1.0)


@pytest.mark.parametrize("size", [1, 7, N])
def test_several_labels_against_scikit_learn(labelled, size):
    model, split = labelled
    model[1].bias[...] -= model(split.images.astype("float32")).mean(axis=0)
    scores, yes = outputs(model, split), split.labels
    found = evaluate(model, split, BCEWithLogitsLoss(), size)
    assert found.metrics == pytest.approx({
        "accuracy": 1 - sklearn.hamming_loss(yes, scores > 0),
        "exact_match": sklearn.accuracy_score(yes, scores > 0),
        "f1": sklearn.f1_score(yes, scores > 0, average="macro"),
        "roc_auc": sklearn.roc_auc_score(yes, scores, average="macro"),
        "average_precision": sklearn.average_precision_score(yes, scores, average="macro"),
    }, rel=1e-12)  # fmt: skip
    assert found.accuracy == found.metrics["accuracy"]
    np.testing.assert_array_equal(found.confusion, sklearn.multilabel_confusion_matrix(yes, scores > 0))


@pytest.mark.parametrize("size", [1, 7, N])
def test_numbers_against_scikit_learn(labelled, size):
    model, split = labelled
    targets = split.labels * [1, 10, 100, 0] + [1e4, 0, 0, 3]
    scores, found = (
        outputs(model, split),
        evaluate(model, Split(split.images, targets.astype("f4"), 1.0), MSELoss(), size),
    )
    assert found.metrics["mean_absolute_error"] == pytest.approx(sklearn.mean_absolute_error(targets, scores), rel=1e-6)
    assert found.metrics["r2"] == pytest.approx(sklearn.r2_score(targets, scores), rel=1e-6)
    assert math.isnan(found.accuracy)


@pytest.mark.parametrize("size", [2, 5])
def test_images_as_a_whole(size):
    rng = np.random.default_rng(1)
    clean = rng.random((5, 12, 13, 2)).astype("f4")
    noisy = clean + rng.normal(0, 0.1, clean.shape).astype("f4")
    found = evaluate(Sequential(Identity()), Split(noisy, clean, 1.0), MSELoss(), size)
    expected = {name: getattr(metrics, name)(noisy, clean) for name in ("mean_absolute_error", "psnr", "ssim")}
    assert found.metrics == pytest.approx(expected, rel=1e-12)
    clean[4] *= 2  # no longer in [0, 1]: its peak is not known
    assert list(evaluate(Sequential(Identity()), Split(noisy, clean, 1.0), MSELoss(), size).metrics) == [
        "mean_absolute_error"
    ]


def test_classes_have_a_macro_f1_and_five_guesses_of_more_than_five():
    rng = np.random.default_rng(2)
    images, labels = rng.random((40, 8)).astype("f4"), rng.integers(0, 8, 40)
    model, split = Linear(8, 8, rng=0), Split(images.reshape(40, 2, 4, 1), labels, 1.0)
    model = Sequential(Flatten(), model)
    found, answers = evaluate(model, split, batch_size=9), outputs(model, split)
    assert found.metrics["f1"] == pytest.approx(sklearn.f1_score(labels, answers.argmax(1), average="macro"))
    assert found.metrics["top5_accuracy"] == pytest.approx(sklearn.top_k_accuracy_score(labels, answers, k=5))
    assert set(evaluate(Sequential(Flatten(), Linear(8, 5, rng=0)), Split(split.images, labels % 5, 1.0)).metrics) == {
        "accuracy",
        "f1",
    }


def test_questions_of_pixels_and_what_is_right_in_training(xp, rng):
    host, scores = xp.normal(rng, 3, 4, 5, 6)
    labels = rng.integers(0, 6, (3, 4, 5))
    labels[:, 0] = 255
    kept, yes = labels != 255, labels[..., None] == np.arange(6)
    right = ((host > 0) == yes)[kept].mean()
    counted = tally(criterion := DiceLoss(sigmoid=True, ignore_index=255), host, labels)
    counted.add(host, labels)
    found = counted.metrics()
    assert found["accuracy"] == pytest.approx(right)
    assert found["mean_iou"] == pytest.approx(
        sklearn.jaccard_score(yes[kept], host[kept] > 0, average="macro"), rel=1e-12
    )
    assert float(correct_items(criterion, scores, xp.array(labels))) == pytest.approx(3 * right, rel=1e-6)
    answers = xp.array(yes.astype(str(host.dtype)))
    assert float(correct_items(BCEWithLogitsLoss(), scores, answers)) == pytest.approx(
        3 * ((host > 0) == yes).mean(), rel=1e-6
    )


def test_ranks_count_as_one(rng):
    scores, targets = rng.normal(size=(9, 3)), rng.integers(0, 2, (9, 3)).astype("f4")
    for criterion in (BCEWithLogitsLoss(), MSELoss(), CrossEntropyLoss()):
        whole, ranks = tally(criterion, scores, targets), [tally(criterion, scores, targets) for _ in range(2)]
        for number, part in enumerate((slice(0, 4), slice(4, 8), slice(8, 9))):
            whole.add(scores[part], targets[part])
            ranks[number % 2].add(scores[part], targets[part])
        assert joined([*ranks, None]).metrics() == whole.metrics()
    assert in_turn([[1, 3], [2], []]) == [1, 2, 3]


def test_the_history_and_its_files_hold_them(labelled, tmp_path):
    model, split = labelled
    log = CSVLog(tmp_path / "epochs.csv")
    trainer = Trainer(
        model,
        Adam(model.parameters(), lr=0.1),
        BCEWithLogitsLoss(),
        folder=tmp_path / "run",
        on_epoch=[log],
        verbose=False,
    )
    rows = trainer.fit(Loader(split, 8), split, epochs=2)
    found = evaluate(trainer.model, split, BCEWithLogitsLoss())
    assert rows[-1].metrics | {"accuracy": rows[-1].validation_accuracy} == found.metrics
    assert 0 < rows[0].train_accuracy < 1
    for again in (read_csv(tmp_path / "run" / "history.csv"), from_document("", to_document(rows))):
        assert again == rows
    assert (tmp_path / "epochs.csv").read_text().splitlines()[1] == ",".join(map(str, rows[0].numbers().values()))
    write_csv(tmp_path / "history.csv", rows)
    assert "validation_roc_auc" in (tmp_path / "history.csv").read_text()
