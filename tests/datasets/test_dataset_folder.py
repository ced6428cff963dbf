"""A folder of the user's own images, in whatever state it is."""

import json
import multiprocessing
import os
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

from gan_runner.cli.messages import explain
from gan_runner.config.instantiate import build
from gan_runner.config.resolve import resolve
from gan_runner.datasets.folder import ImageFolder
from gan_runner.errors import DataError
from gan_runner.runs.directory import mark_own
from gan_runner.runs.saved import read_object

CPU = torch.device("cpu")


def paint(path, grey=0, size=(8, 8), mode="L"):
    """Write a picture of one shade."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).convert(mode).save(path)
    return path


def shades(data):
    """The grey of every image, in order."""
    return data.images[:, 0, 0, 0].tolist()


def load(folder, **options):
    """Everything below a folder."""
    return ImageFolder(**{"root": str(folder), "image_size": 8, "channels": 1, **options}).load(CPU)


def test_a_flat_folder_is_one_class(tmp_path):
    for i in (3, 1, 2):
        paint(tmp_path / f"{i}.png", i)
    data = load(tmp_path)
    assert shades(data) == [1, 2, 3]
    assert data.labels.tolist() == [0, 0, 0]


def test_subfolders_are_classes_at_any_depth(tmp_path):
    for i, path in enumerate(["b/2.png", "a/x/y/1.png", "a/0.png", "c/z/0.png", "b/1.png"]):
        paint(tmp_path / path, i)
    data = load(tmp_path)
    assert dict(zip(shades(data), data.labels.tolist())) == {0: 1, 1: 0, 2: 0, 3: 2, 4: 1}


def test_images_beside_subfolders_are_a_class_of_their_own(tmp_path):
    paint(tmp_path / "loose.png", 9)
    paint(tmp_path / "a" / "0.png", 1)
    data = load(tmp_path)
    assert dict(zip(shades(data), data.labels.tolist())) == {9: 0, 1: 1}


def test_the_order_does_not_depend_on_that_of_the_disk(tmp_path, monkeypatch):
    for i in range(6):
        paint(tmp_path / f"{i % 3}" / f"{i}.png", i)
    walk = os.walk
    ahead = load(tmp_path)

    def backwards(*arguments, **options):
        for parent, folders, names in walk(*arguments, **options):
            yield parent, folders, names[::-1]
            folders.reverse()

    monkeypatch.setattr(os, "walk", backwards)
    behind = load(tmp_path)
    assert shades(behind) == shades(ahead)
    assert torch.equal(behind.labels, ahead.labels)


def test_that_hidden_files_and_other_files_are_skipped(tmp_path):
    paint(tmp_path / "seen.png", 1)
    for path in ("._seen.png", ".thumbnails/1.png", "a/.cache/deep/2.png", ".hidden.png"):
        paint(tmp_path / path, 2)
    for name in ("notes.txt", "labels.csv", "README", "archive.zip", "paper.pdf", "weights.h5", "clip.mpg"):
        (tmp_path / name).write_bytes(b"no image")
    assert shades(load(tmp_path)) == [1]


def test_a_hidden_folder_above_does_not_hide_the_images(tmp_path):
    paint(tmp_path / ".cache" / "images" / "0.png", 1)
    assert shades(load(tmp_path / ".cache" / "images")) == [1]


def test_links_to_folders_are_followed(tmp_path):
    paint(tmp_path / "elsewhere" / "0.png", 5)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert shades(load(tmp_path / "images")) == [5]


@pytest.mark.parametrize("extension", ["PNG", "jpg", "JPEG", "jfif", "webp", "avif", "bmp", "tif", "gif", "ppm", "pgm"])
def test_extensions_in_either_case(tmp_path, extension):
    paint(tmp_path / f"a.{extension}", 128)
    assert abs(shades(load(tmp_path))[0] - 128) <= 2


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_of_all_sizes_mix(tmp_path, channels):
    sizes = {"L": (8, 8), "RGB": (30, 20), "RGBA": (5, 9), "P": (1, 1), "1": (64, 8), "CMYK": (9, 9)}
    for mode, size in sizes.items():
        paint(tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}", 255, size, mode)
    Image.fromarray(np.full((7, 7), 65535, dtype=np.uint16)).save(tmp_path / "deep.png")
    data = load(tmp_path, channels=channels)
    assert data.images.shape == (7, channels, 8, 8)
    assert (data.images == 255).all()


def test_paths_may_hold_spaces_quotes_and_any_letters(tmp_path):
    folder = tmp_path / "meine Bilder, 2024 'neu'" / "猫と犬" / "#1 %20 [x]=y"
    paint(folder / "über alles" / "ein Bild.png", 7)
    data = load(folder)
    assert shades(data) == [7]
    assert str(folder) in data.describe()


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    paint(tmp_path / "images" / "0.png", 7)
    assert shades(load("~/images")) == [7]


def test_a_relative_folder_is_found_and_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "images" / "0.png", 7)
    assert shades(load("images")) == [7]
    with pytest.raises(DataError, match=f"^there is no folder {tmp_path}/missing; set dataset.root to [^\n]*$"):
        load("missing")


def test_a_file_is_not_a_folder(tmp_path):
    path = paint(tmp_path / "images.png")
    with pytest.raises(DataError, match=f"^there is no folder {path}; "):
        load(path)


def test_that_the_error_for_an_empty_folder_lists_file_types(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(DataError, match=f"^{tmp_path} contains no images; set dataset.root to .*\\.png[^\n]*$"):
        load(tmp_path)


def broken(path, how):
    """Spoil an image file."""
    whole = paint(path, 100, (64, 64)).read_bytes()
    cut = {"no end": len(whole) - 20, "no body": len(whole) // 2, "empty": 0}
    path.write_bytes(b"<html>404</html>" if how == "text" else whole[: cut[how]])
    return path


@pytest.mark.parametrize("how", ["no end", "no body", "empty", "text"])
@pytest.mark.parametrize("name", ["a photo.jpg", "a photo.png", "a photo.webp"])
def test_a_broken_file_is_named(tmp_path, name, how):
    path = broken(tmp_path / "some class" / name, how)
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    line = explain(caught.value)
    assert str(path) in line
    assert line.endswith("repair or remove it")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["no end", "no body", "text"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_file_is_named_when_streamed(tmp_path, workers, how):
    for i in range(6):
        paint(tmp_path / f"{i}.jpg")
    path = broken(tmp_path / "6.jpg", how)
    with pytest.raises(DataError) as caught:
        list(islice(load(tmp_path, resident=False, workers=workers).stream(0, 4, 0), 3))
    line = explain(caught.value)
    assert str(path) in line
    assert line.endswith("repair or remove it")
    assert "Traceback" not in line


def test_a_broken_file_among_many_is_named_by_the_processes_that_decode_them(tmp_path):
    whole = paint(tmp_path / "0.png").read_bytes()
    for i in range(1, 1001):
        (tmp_path / f"{i}.png").write_bytes(whole)
    path = broken(tmp_path / "500.png", "no end")
    with pytest.raises(DataError) as caught:
        load(tmp_path, workers=2)
    assert explain(caught.value).startswith(f"{path} cannot be read as an image")
    assert multiprocessing.active_children() == []


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["seeds=2"], ["dataset.resident=false", "trainer.steps=200"]])
def test_a_run_that_meets_a_broken_file_among_many_ends(tmp_path, options):
    whole = paint(tmp_path / "images" / "0.png").read_bytes()
    for i in range(1, 1001):
        (tmp_path / "images" / f"{i}.png").write_bytes(whole)
    path = broken(tmp_path / "images" / "500.png", "no end")
    line = ["dataset=image_folder", "dataset.root=images", "model=mlp", "metric=[]", "objective=null", *options]
    command = [sys.executable, "-m", "gan_runner", *line, "logger.mode=disabled", "hydra.run.dir=run"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=90)  # or it raises
    assert answer.returncode == 2
    assert answer.stderr.splitlines()[-1].startswith(f"gan-run: {path} cannot be read as an image")


def test_folders_linked_in_circles_are_read_once(tmp_path):
    root, other = tmp_path / "images", tmp_path / "other"
    for i, path in enumerate([root / "a" / "0.png", root / "b" / "0.png", other / "c" / "0.png"]):
        paint(path, i)
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "beside").symlink_to(root / "b")
    (root / "b" / "back").symlink_to("../a")
    (root / "c").symlink_to(other / "c")
    (other / "c" / "self").symlink_to(other / "c")
    data = load(root)
    assert dict(zip(shades(data), data.labels.tolist())) == {0: 0, 1: 1, 2: 2}
    assert len(data.images) == 3


def test_a_link_to_a_hidden_folder_is_followed(tmp_path):
    paint(tmp_path / ".versions" / "2" / "0.png", 5)
    (tmp_path / "current").symlink_to(tmp_path / ".versions" / "2")
    assert shades(load(tmp_path)) == [5]


def test_a_link_that_leads_nowhere_is_refused(tmp_path):
    paint(tmp_path / "a" / "0.png")
    (tmp_path / "b").symlink_to(tmp_path / "not mounted")
    with pytest.raises(DataError, match=f"^{tmp_path}/b is a link to {tmp_path}/not mounted, which does not exist; "):
        load(tmp_path)


def test_the_pictures_of_runs_and_sweeps_are_no_data(tmp_path):
    for i, path in enumerate(["a/0.png", "b/0.png", "outputs/2026/run/samples/1.png", "outputs/sweep/0/samples/1.png"]):
        paint(tmp_path / path, i)
    for folder in ("2026/run", "sweep"):
        mark_own(tmp_path / "outputs" / folder)
    data = load(tmp_path)
    assert dict(zip(shades(data), data.labels.tolist())) == {0: 0, 1: 1}


def test_folders_without_images_and_those_of_archive_programs_are_no_classes(tmp_path):
    for path in ("a/0.png", "b/0.png", "__MACOSX/a/._0.png", "__MACOSX/1.png", "@eaDir/0.png"):
        paint(tmp_path / path)
    (tmp_path / "empty" / "too").mkdir(parents=True)
    assert ImageFolder(root=str(tmp_path)).labels.names == ("a", "b")


def test_a_named_class_without_images_is_refused(tmp_path):
    paint(tmp_path / "a" / "0.png")
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match=f"^{tmp_path} has no image of the class b; add some, or set dataset.classes$"):
        load(tmp_path, classes=("a", "b"))


def test_a_folder_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    for name in ("a", "b"):
        paint(tmp_path / name / "0.png")
    scandir = os.scandir

    def denied(path):
        if os.fspath(path) == str(tmp_path / "b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=f"^{tmp_path}/b cannot be read .Permission denied.; change its permissions$"):
        load(tmp_path)


def test_images_of_kinds_that_are_not_read_are_counted(tmp_path, caplog):
    paint(tmp_path / "0.png")
    for name in ("1.heic", "2.HEIC", "3.jxl", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    load(tmp_path)
    (record,) = caplog.records
    assert "images that cannot be read and are left out (2 .heic, 1 .jxl)" in record.getMessage()


def test_a_pipe_is_no_image(tmp_path):
    paint(tmp_path / "0.png", 3)
    os.mkfifo(tmp_path / "1.png")
    assert shades(load(tmp_path)) == [3]


def nvidia_folder(root, labels):
    """A folder as NVIDIA's `dataset_tool.py` writes it: numbered images, a thousand to a subfolder."""
    names = [f"{i // 2:05}/img{i:08}.png" for i in range(4)]
    for i, name in enumerate(names):
        paint(root / name, i)
    pairs = None if labels is None else [[name, label] for name, label in zip(names, labels)]
    (root / "dataset.json").write_text(json.dumps({"labels": pairs}))


def test_nvidias_labels_are_the_classes(tmp_path):
    nvidia_folder(tmp_path, [10, 2, 2, 10])
    data = load(tmp_path)
    assert ImageFolder(root=str(tmp_path)).labels.names == ("2", "10")
    assert dict(zip(shades(data), data.labels.tolist())) == {0: 1, 1: 0, 2: 0, 3: 1}


@pytest.mark.parametrize("labels", [None, [[0.5, 1.0]] * 4])
def test_nvidias_folders_without_classes_have_none(tmp_path, labels):
    nvidia_folder(tmp_path, labels)
    assert ImageFolder(root=str(tmp_path)).labels is None
    assert len(load(tmp_path).images) == 4


def test_an_image_that_nvidias_labels_lack_is_named(tmp_path):
    nvidia_folder(tmp_path, [0, 1, 1])
    with pytest.raises(DataError, match=r"dataset\.json has no label for 00001/img00000003\.png; add it, or remove"):
        load(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1", '{"labels": [1, 2]}'])
def test_broken_labels_are_named(tmp_path, content):
    paint(tmp_path / "00000" / "0.png")
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(DataError, match=r"dataset\.json cannot be read as labels .*; repair or remove it"):
        load(tmp_path)


def test_another_file_of_that_name_is_no_label_file(tmp_path):
    paint(tmp_path / "a" / "0.png")
    (tmp_path / "dataset.json").write_text('{"title": "photographs"}')
    assert ImageFolder(root=str(tmp_path)).labels.names == ("a",)


def test_a_digest_identifies_what_was_read_wherever_it_lies(tmp_path):
    folder, moved = tmp_path / "images", tmp_path / "elsewhere"
    for i in range(4):
        paint(folder / f"{i % 2}" / f"{i}.bmp", i)
    digest = load(folder).digest
    assert load(folder, resident=False).digest == digest
    assert load(folder, held_out=1).digest != digest
    folder.rename(moved)
    assert load(moved).digest == digest
    paint(moved / "0" / "0.bmp", 9)  # of the same size
    assert load(moved).digest != digest
    paint(moved / "0" / "0.bmp", 0)
    assert load(moved).digest == digest
    (moved / "0" / "0.bmp").rename(moved / "1" / "0.bmp")
    assert load(moved).digest != digest
    (moved / "1" / "0.bmp").unlink()
    assert load(moved).digest != digest


def test_a_run_is_resumed_on_its_own_data_only(gan_run, tmp_path, monkeypatch):
    for number in range(8):
        paint(tmp_path / "images" / f"{number}.png", number)
        paint(tmp_path / "else" / "images" / f"{number}.png", 9)
    paint(tmp_path / "test" / "0.png")
    options = ["experiment=smoke", "dataset=image_folder", "dataset.image_size=8", "dataset.channels=1", "model=mlp"]
    options += ["dataset.root=images", "dataset.test_root=test", "metric=[]", "objective=null"]
    code, _, err = gan_run(*options, f"hydra.run.dir={tmp_path}/run", "trainer.steps=1")
    assert code == 0, err
    assert read_object(tmp_path / "run" / "environment.json")["data"]["count"] == 8
    monkeypatch.chdir(tmp_path / "else")  # where there is another folder of that name
    assert gan_run("resume=../run", "trainer.steps=2")[::2] == (0, "")
    (tmp_path / "test").rename(tmp_path / "tests")
    code, _, err = gan_run(*options, f"hydra.run.dir={tmp_path}/run", "dataset.test_root=../tests", "trainer.steps=2")
    assert code == 2
    assert "has changed: it was 8 samples" in err
    assert "type resume= with dataset.root=FOLDER" in err
    moved = [*options, "dataset.root=../images", "dataset.test_root=../tests", f"hydra.run.dir={tmp_path}/run"]
    assert gan_run(*moved, "trainer.steps=2")[::2] == (0, "")
    code, _, err = gan_run("resume=../run", "dataset.root=images", "trainer.steps=3")
    assert (code, err.partition(":")[0]) == (0, "the run goes on with other data")


def test_a_slash_at_the_end_changes_nothing(tmp_path):
    paint(tmp_path / "a" / "0.png", 3)
    assert load(f"{tmp_path}/").labels.tolist() == [0]


def test_a_file_that_went_away_is_named(tmp_path):
    path = paint(tmp_path / "0.png")
    data = load(tmp_path, resident=False, workers=0)
    path.unlink()
    with pytest.raises(DataError, match=str(path)):
        next(data.stream(0, 1, 0))


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    path = paint(tmp_path / "0.png", 0, (50, 50))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match=str(path)):
        load(tmp_path)


@pytest.mark.parametrize("resident", [True, False])
def test_as_configured(hydra_config, tmp_path, resident):
    for i in range(5):
        paint(tmp_path / f"class {i % 2}" / f"{i}.png", i, (40, 50), "RGB")
    options = [f"dataset.root='{tmp_path}'", "dataset.image_size=16", f"dataset.resident={resident}"]
    dataset = build("dataset", resolve(hydra_config("dataset=image_folder", *options)).dataset)
    batch = next(dataset.load(CPU).stream(0, 5, 0))
    assert batch["data"].shape == (5, *dataset.shape) == (5, 3, 16, 16)
    values = ((batch["data"][:, 0, 0, 0] + 1) * 127.5).round().long()
    assert values.sort().values.tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(values % 2, batch["label"])


def test_five_thousand_photographs():
    root = os.environ.get("GAN_RUNNER_DATA", "")
    folder = os.path.join(root, "cifar10_6k", "train")
    if not root or not os.path.isdir(folder):
        pytest.skip("set GAN_RUNNER_DATA to a folder that holds cifar10_6k/train")
    data = ImageFolder(root=folder).load(CPU)
    assert data.images.shape == (5000, 3, 32, 32)
    assert torch.bincount(data.labels).tolist() == [500] * 10
    assert 110 < data.images.float().mean() < 130
    assert len(data.images.flatten(1).unique(dim=0)) > 4990


def test_splits_are_not_taken_for_classes(tmp_path):
    for split in ("train", "test"):
        paint(tmp_path / split / "dog" / "a.png")
    with pytest.raises(DataError, match=r"look like splits, not like classes \(test, train\); set dataset.root="):
        ImageFolder(root=str(tmp_path), image_size=8)
    both = ImageFolder(root=str(tmp_path), image_size=8, classes=("train", "test"))
    assert both.labels.names == ("train", "test")
    assert len(load(tmp_path / "train").images) == 1
