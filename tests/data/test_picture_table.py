"""Tables of pictures: classes, several labels, numbers and parts are read from the columns that are meant, in any usual
encoding and form, and each mistake is named with its line."""

from __future__ import annotations

import gzip

import pytest
from PIL import Image

from xpcnn import data
from xpcnn.data.picture_table import table_pictures
from xpcnn.errors import DataError, FormatError, OptionError, XpcnnWarning

N = 6


@pytest.fixture
def folder(tmp_path):
    """pics/0.png …, whose level tells their number."""
    (tmp_path / "pics").mkdir()
    for i in range(N):
        Image.new("L", (4, 3), 40 * i + 20).save(tmp_path / "pics" / f"{i}.png")
    return tmp_path


def numbers(split):
    """Which pictures these are."""
    return ((split.images[:, 0, 0, 0].astype(int) - 20) // 40).tolist()


def table(folder, header, *columns, name="t.csv", separator=",", file="pics/{}.png", encoding="utf-8"):
    rows = [separator.join([file.format(i), *(str(column[i]) for column in columns)]) for i in range(N)]
    text = "\n".join([header, *rows]) + "\n"
    path = folder / name
    path.write_bytes(gzip.compress(text.encode(encoding)) if name.endswith(".gz") else text.encode(encoding))
    return path


KINDS = ["cat", "dog", "cat", "dog", "dog", "cat"]


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("filename,label", {}),
        ("image_path,species", {}),
        ("What,kind", {"image": "What"}),
        ("x,y", {"image": 0, "label": 1}),
        ("Filename,Label", {"label": "Label"}),
    ],
)
def test_a_class_of_each_picture(folder, header, options):
    parts = data.load_parts(table(folder, header, KINDS), **options)
    assert (parts.classes, parts.task, numbers(parts.everything)) == (("cat", "dog"), "classes", [*range(N)])
    assert parts.everything.labels.tolist() == [0, 1, 0, 1, 1, 0]
    assert len(data.load(folder / "t.csv", test_fraction=0.3, **options).test) == 2


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "t.tsv.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_form_and_encoding(folder, name, encoding):
    kinds = ["grün", '"über, alles"'] * 3
    separator = "\t" if ".tsv" in name else ","
    path = table(
        folder, separator.join(["filename", "label"]), kinds, name=name, separator=separator, encoding=encoding
    )
    options = {"encoding": encoding} if encoding == "cp1252" else {}
    assert data.load_parts(path, **options).classes == ("grün", "über, alles")
    if options:
        with pytest.raises(FormatError, match=r"expected text in UTF-8, got byte .*encoding=cp1252"):
            data.load_parts(path)


def test_several_labels(folder):
    path = table(
        folder, "id,file,red,blue", range(N), [1, 0, 1, 0, 1, "true"], [0, 0, "1.0", 1, 1, 0], file="{}", name="u.csv"
    )
    text = path.read_text().replace("\n0,0,", "\n0,pics/0.png,")
    for i in range(1, N):
        text = text.replace(f"\n{i},{i},", f"\n{i},pics/{i}.png,")
    path.write_text(text)
    parts = data.load_parts(path)
    assert (parts.classes, parts.task) == (("red", "blue"), "labels")
    assert parts.everything.labels.tolist() == [[1, 0], [0, 0], [1, 1], [0, 1], [1, 1], [1, 0]]
    one = data.load_parts(path, label=["blue"])
    assert (one.classes, one.everything.labels.shape) == (("blue",), (N, 1))
    assert data.load_parts(path, label="blue,red").classes == ("blue", "red")
    assert data.load_parts(path, label="blue").task == "classes"
    dataset = data.load(path, test_fraction=0.3)
    assert (dataset.task, dataset.classes, len(dataset.test)) == ("labels", ("red", "blue"), 2)


def test_numbers_to_predict(folder):
    path = table(folder, "filename,age,size", [3, 1.5, 2, 9, 8, 7], [1, 2, 3, 4, 5, "6e1"])
    split = data.load_parts(path, regression=True).everything
    assert split.labels.tolist() == [[3, 1], [1.5, 2], [2, 3], [9, 4], [8, 5], [7, 60]]
    assert data.load_parts(path, regression=True, label="age").everything.labels.shape == (N, 1)
    with pytest.raises(
        DataError, match=r"0 or 1 in each of the columns age, size, got '3' in line 2, column age.*regression"
    ):
        data.load_parts(path)


def test_parts_by_a_column_and_by_tables(folder):
    split = ["train", "val", "test", "train", "train", "Test"]
    path = table(folder, "filename,label,split", KINDS, split)
    dataset = data.load(path)
    assert (numbers(dataset.train), numbers(dataset.test)) == ([0, 3, 4], [2, 5])
    with pytest.warns(XpcnnWarning, match="'split' has '0', which is neither train, val nor test"):
        assert data.load_parts(table(folder, "filename,label,split", KINDS, [0, 1, 2] * 2)).stated is None
    with pytest.raises(DataError, match=r"train, val or test in each row, got '0' in line 2"):
        data.load_parts(folder / "t.csv", split="split")
    table(folder, "filename,label", KINDS, name="train.csv")
    (folder / "test.csv").write_text("label,filename\ndog,pics/1.png\n")
    both = data.load_parts(folder / "train.csv")
    assert (numbers(both.given), numbers(both.stated), both.stated.labels.tolist()) == ([*range(N)], [1], [1])
    (folder / "test.csv").write_text("filename\npics/1.png\n")
    with pytest.warns(XpcnnWarning, match="it has no labels and is not read"):
        assert data.load_parts(folder / "train.csv").stated is None


def test_files_elsewhere_and_without_an_ending(folder):
    path = table(folder, "id_code,label", KINDS, file="{}")
    options = {"image": "id_code", "folder": "pics", "ending": ".png"}
    assert numbers(data.load_parts(path, **options).everything) == [*range(N)]
    (folder / "w.csv").write_text("filename,label\npics\\1.png,a\npics\\2.png,b\n")
    assert numbers(data.load_parts(folder / "w.csv").everything) == [1, 2]


def test_a_table_without_labels_names_pictures(folder):
    path = table(folder, "filename")
    assert [each.name for each in table_pictures(path)] == [f"{i}.png" for i in range(N)]
    with pytest.raises(DataError, match="a column of labels, got filename; xpcnn predict takes it"):
        data.load(path)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            "filename,label\npics/0.png,a\npics/9.png,b\npics/8.png,b\n",
            DataError,
            r"no .*9\.png, in line 3, nor 1 others",
        ),
        (
            "filename,label\npics/0.png,a\npics/1.png,\n",
            DataError,
            "a label in each row, got '' in line 3, column label",
        ),
        ("filename,label\npics/0.png,a\npics/1.png,b,c\n", FormatError, "2 fields in each row, got 3 in line 3"),
        ("filename,label\npics/0.png,a\npics/0.png,b\n", DataError, r"one label of each picture, got two of 0\.png"),
        ("filename,label,label\npics/0.png,a,b\n", FormatError, "columns whose names differ, got 'label' twice"),
        ('filename,label\npics/0.png,"a"b\n', FormatError, "line 2"),
        ("pics/0.png,a\npics/1.png,b\n", FormatError, r"a header above the rows, got the picture pics/0\.png"),
    ],
)
def test_mistakes_are_named_with_their_line(folder, text, error, message):
    (folder / "t.csv").write_text(text)
    with pytest.raises(error, match=message) as refused:
        data.load_parts(folder / "t.csv")
    assert "\n" not in str(refused.value)


def test_options_that_make_no_sense(folder):
    path = table(folder, "filename,label", KINDS)
    for options, message in (
        ({"label": "kind"}, "label: a column among filename, label, got 'kind'"),
        ({"label": [1, 1]}, "each once"),
        ({"encoding": "hex"}, "encoding: a text's, such as utf-8 or cp1252, got 'hex'"),
        ({"split": 7}, "split: a column among"),
        ({"resize": "crop"}, "a size, as there is resize='crop'"),
    ):
        with pytest.raises(OptionError, match=message):
            data.load_parts(path, **options)


def test_damaged_and_huge_compressed_tables(folder):
    path = table(folder, "filename,label", KINDS, name="t.csv.gz")
    whole = path.read_bytes()
    for damaged in (whole[:-9], whole[:20] + b"\0\0" + whole[22:], b"filename,label\n"):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"t\.csv\.gz: expected a gzip file"):
            data.load_parts(path)
    path.write_bytes(gzip.compress(b"7," * 2**20))
    with pytest.raises(FormatError, match="at most 1000 bytes of text"):
        data.csv_file(path, most_bytes=1000)
