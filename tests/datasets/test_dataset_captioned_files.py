"""Captions in their published layouts, from small copies."""

import json
import os
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pytest
import torch
import torchvision
from omegaconf import OmegaConf
from PIL import Image
from scipy.io import savemat

from gan_runner.cli.messages import explain
from gan_runner.config.instantiate import build
from gan_runner.config.resolve import resolve
from gan_runner.datasets.captioned_files import CUB
from gan_runner.datasets.captions import decode
from gan_runner.datasets.labels import Classes
from gan_runner.errors import DataError

CPU = torch.device("cpu")
SPECIES = ("Albatross", "Painted_Bunting", "Crow", "Fish_Crow", "Kingfisher")


@dataclass
class Written:
    """The content of a fixture: the number of an image (its grey), its captions, its class, its split."""

    captions: dict[int, list[str]] = field(default_factory=dict)
    labels: dict[int, int] = field(default_factory=dict)
    test: set[int] = field(default_factory=set)
    other_test: set[int] = field(default_factory=set)

    def add(self, number, label, test, other_test, captions):
        self.captions[number], self.labels[number] = captions, label
        self.test |= {number} if test else set()
        self.other_test |= {number} if other_test else set()


def paint(path, number):
    """A picture whose grey is its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 24), (10 * number,) * 3).save(path, quality=95)


def put(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def ten(number):
    """Ten sentences about an image; those of one image in three are a line longer, and empty there."""
    lines = [f"picture {number}, sentence {k}." for k in range(10)]
    return lines, lines + ["", "  "] * (number % 3 == 0)


def write_cub(root):
    """Three images of each of five species, 3 and 5 of which are for testing."""
    written, images = Written(), root / "CUB_200_2011"
    listed, classes, split = [], [], []
    for number in range(1, 16):
        label = (number - 1) // 3
        folder = f"{label + 1:03}.{SPECIES[label]}"
        name = f"{folder}/{SPECIES[label]}_{number:04}_{796000 + number}"
        paint(images / "images" / f"{name}.jpg", number)
        captions, lines = ten(number)
        put(root / "cvpr2016_cub" / "text_c10" / f"{name}.txt", lines)
        listed.append(f"{number} {name}.jpg")
        classes.append(f"{number} {label + 1}")
        split.append(f"{number} {number % 2}")
        written.add(number, label, label in (2, 4), number % 2 == 0, captions)
    folders = [f"{i + 1:03}.{name}" for i, name in enumerate(SPECIES)]
    put(images / "images.txt", listed)
    put(images / "image_class_labels.txt", classes)
    put(images / "train_test_split.txt", split)
    put(root / "cvpr2016_cub" / "trainvalclasses.txt", [folders[i] for i in (0, 1, 3)])
    put(root / "cvpr2016_cub" / "testclasses.txt", [folders[i] for i in (2, 4)])
    return written


def write_oxford102(root):
    """Twelve images of classes 77, 5 and 102, of which 5 is for testing."""
    written, images, labels = Written(), root / "flowers-102", []
    for number in range(1, 13):
        label = (77, 5, 102)[number % 3]
        paint(images / "jpg" / f"image_{number:05}.jpg", number)
        captions, lines = ten(number)
        put(root / "cvpr2016_flowers" / "text_c10" / f"class_{label:05}" / f"image_{number:05}.txt", lines)
        labels.append(label)
        written.add(number, label - 1, label == 5, number > 4, captions)
    savemat(images / "imagelabels.mat", {"labels": np.array([labels], dtype=np.uint8)})
    sets = {"trnid": [[3, 1]], "valid": [[2, 4]], "tstid": [list(range(5, 13))]}
    savemat(images / "setid.mat", {name: np.array(rows, dtype=np.uint16) for name, rows in sets.items()})
    put(root / "cvpr2016_flowers" / "trainvalclasses.txt", ["class_00077", "class_00102"])
    put(root / "cvpr2016_flowers" / "testclasses.txt", ["class_00005"])
    return written


def write_coco(root):
    """Nine images for training and four others, with 0 to 4 captions, in no order."""
    written = Written()
    for part, numbers in (("train2017", range(1, 10)), ("val2017", range(10, 14))):
        images, notes = [], []
        for number in reversed(numbers):
            name = f"{number:012}.jpg"
            paint(root / "coco" / part / name, number)
            images.append({"id": number, "file_name": name, "height": 24, "width": 20, "license": 1})
            captions = [f"Picture {number}, sentence {k}." for k in range(number % 5)]
            notes += [{"image_id": number, "id": 100 * number + k, "caption": c} for k, c in enumerate(captions)]
            if captions:
                written.add(number, 0, part == "val2017", False, [caption.lower() for caption in captions])
        notes = [notes[i] for i in np.random.default_rng(0).permutation(len(notes))]
        notes.append({"image_id": numbers[0], "id": 1, "caption": "\n"})
        content = {"info": {}, "licenses": [], "images": images, "annotations": notes}
        put(root / "coco" / "annotations" / f"captions_{part}.json", [json.dumps(content)])
    return written


WRITERS = {"cub": write_cub, "oxford102": write_oxford102, "coco": write_coco}
NAMES = list(WRITERS)
BY_CLASS = ["cub", "oxford102"]


@pytest.fixture(scope="module")
def configured(hydra_config):
    """A dataset as `gan-run dataset=NAME …` builds it, small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_RUNNER_DATA", "/nowhere")
        composed = {name: hydra_config(f"dataset={name}") for name in NAMES}

    def dataset(name, root, **options):
        config = composed[name].copy()
        where = root / "coco" if name == "coco" else root
        small = {"root": str(where), "image_size": 8, "workers": 0, "caption_length": 40}
        for option, value in {**small, **options}.items():
            OmegaConf.update(config, f"dataset.{option}", value, force_add=False)
        return build("dataset", resolve(config).dataset)

    return dataset


@pytest.fixture
def case(request, configured, tmp_path):
    """A dataset and what is in it."""
    written = WRITERS[request.param](tmp_path)
    return (lambda **options: configured(request.param, tmp_path, **options)), written


def everything(name):
    return pytest.mark.parametrize("case", name, indirect=True)


def numbers(data):
    """Which images a batch or dataset holds, by their grey."""
    return ((data["data"][:, 0, 4, 4] + 1) * 12.75).round().long().tolist()


HOW = pytest.mark.parametrize("resident", [True, False])


@everything(NAMES)
@HOW
def test_images_labels_and_captions_belong_together(case, resident):
    make, written = case
    for split in ("train", "test"):
        data = make(resident=resident).load(CPU, split)
        seen = set()
        for batch in islice(data.stream(0, 6, 0), 30):
            assert batch["data"].shape == (6, 3, 8, 8)
            assert batch["caption"].shape == (6, 40)
            for number, label, caption in zip(numbers(batch), batch["label"].tolist(), batch["caption"]):
                assert label == written.labels[number]
                assert decode(caption) in written.captions[number]
                seen.add((number, decode(caption)))
        wanted = {number for number in written.captions if (number in written.test) == (split == "test")}
        assert {number for number, _ in seen} == wanted
        assert len(data) == len(wanted)
        assert len(data.codes) == sum(len(written.captions[number]) for number in wanted)
        assert len(seen) > 0.6 * len(data.codes)
        assert data.describe().endswith(f"; {len(data.codes)} captions")


@everything(BY_CLASS)
def test_classes_for_testing_are_never_trained_on(case):
    make, written = case
    dataset = make(held_out=3)
    assert dataset.splits == ("train", "validation", "test")
    classes = {split: set(dataset.load(CPU, split).data.labels.tolist()) for split in dataset.splits}
    assert not classes["test"] & (classes["train"] | classes["validation"])
    assert sum(len(dataset.load(CPU, split)) for split in dataset.splits) == len(written.captions)


@everything(BY_CLASS)
def test_without_zero_shot_images_are_split_as_published(case):
    make, written = case
    for split in ("train", "test"):
        data = make(zero_shot=False).load(CPU, split)
        wanted = [n for n in sorted(written.captions) if (n in written.other_test) == (split == "test")]
        assert sorted(numbers(data.first(100))) == wanted


@everything(NAMES)
def test_streamed_batches_are_those_from_memory_and_rows_are_their_own(case):
    make, _ = case
    options = {"flip": True, "held_out": 1}
    memory, streamed = (make(resident=resident, **options).load(CPU) for resident in (True, False))
    whole = list(islice(memory.stream(0, 4, 1), 6))
    for batch, other in zip(whole[3:], streamed.stream(3, 4, 1)):
        assert all(torch.equal(batch[key], other[key]) for key in ("data", "label", "caption"))
    part = next(streamed.stream(5, 4, 1, slice(1, 3)))
    assert all(torch.equal(part[key], whole[5][key][1:3]) for key in part)


@everything(NAMES)
def test_captions_need_no_image(case, tmp_path):
    make, written = case
    dataset = make()
    at_hand = dataset.load(CPU, "test").captions(9)
    for path in tmp_path.rglob("*.jpg"):
        path.write_bytes(b"")
    codes, labels = dataset.captions(9, "test")
    assert torch.equal(codes, at_hand[0])
    assert torch.equal(labels, at_hand[1])
    about = [int(decode(code).split()[1].strip(",")) for code in codes]
    assert set(about) == written.test
    if dataset.labels is None:
        assert labels.shape == (9, 0)
    else:
        assert labels.argmax(1).tolist() == [written.labels[number] for number in about]


# Names of classes


def test_birds_are_called_as_their_folders(configured, tmp_path):
    write_cub(tmp_path)
    labels = configured("cub", tmp_path).labels
    assert labels == Classes(SPECIES)
    assert labels.parse("painted bunting").tolist() == [0, 1, 0, 0, 0]
    assert configured("cub", tmp_path / "nowhere").labels == Classes(tuple(str(i + 1) for i in range(200)))
    assert configured("cub", tmp_path / "nowhere", classes=["a", "b"]).labels == Classes(("a", "b"))
    (tmp_path / "CUB_200_2011" / "images" / "002.Painted_Bunting").rename(tmp_path / "gone")
    assert configured("cub", tmp_path).labels.dim == 200  # their numbers would not be their places


def test_flowers_have_the_names_that_torchvision_knows(configured, tmp_path):
    labels = configured("oxford102", tmp_path).labels
    assert list(labels.names) == torchvision.datasets.Flowers102.classes
    assert configured("coco", tmp_path).labels is None


# Missing and broken


def one_line(caught, *words):
    line = explain(caught.value)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in line
    return line


NEEDED = {
    "cub": [
        *("CUB_200_2011/images.txt", "CUB_200_2011/image_class_labels.txt", "cvpr2016_cub/trainvalclasses.txt"),
        *("cvpr2016_cub/testclasses.txt", "cvpr2016_cub/text_c10/001.Albatross/Albatross_0002_796002.txt"),
    ],
    "oxford102": [
        *("flowers-102/imagelabels.mat", "cvpr2016_flowers/trainvalclasses.txt", "cvpr2016_flowers/testclasses.txt"),
        "cvpr2016_flowers/text_c10/class_00077/image_00003.txt",
    ],
    "coco": ["coco/annotations/captions_train2017.json"],
}
WHERE = {"cub": "reedscot/cvpr2016", "oxford102": "vgg/data/flowers/102", "coco": "cocodataset.org"}
EACH = [(name, file) for name, files in NEEDED.items() for file in files]


@pytest.mark.parametrize(("name", "file"), EACH)
def test_that_missing_files_are_reported_with_their_source(configured, tmp_path, name, file):
    WRITERS[name](tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(DataError) as caught:
        configured(name, tmp_path).load(CPU)
    one_line(caught, f"there is no {tmp_path / file}; ", WHERE[name], "dataset.root")


@pytest.mark.parametrize(("name", "file"), [each for each in EACH if not each[1].endswith("classes.txt")])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00broken\n"])
def test_that_broken_files_are_reported(configured, tmp_path, name, file, content):
    WRITERS[name](tmp_path)
    if "text_c10" in file and content:
        content = "鳥\n".encode()
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError) as caught:
        configured(name, tmp_path).load(CPU)
    one_line(caught, f"{tmp_path / file} cannot be read (", WHERE[name])


@pytest.mark.parametrize("name", NAMES)
def test_that_an_empty_dataset_is_reported(configured, tmp_path, name):
    with pytest.raises(DataError) as caught:
        configured(name, tmp_path).load(CPU)
    one_line(caught, f"there is no {tmp_path}/", WHERE[name])


def test_that_invalid_lists_of_classes_are_reported(configured, tmp_path):
    write_cub(tmp_path)
    path = tmp_path / "cvpr2016_cub" / "testclasses.txt"
    put(path, ["001.Albatross"])
    with pytest.raises(DataError) as caught:
        configured("cub", tmp_path).load(CPU)
    one_line(caught, f"001.Albatross is in both lists of classes in {tmp_path / 'cvpr2016_cub'}; ")
    put(path, ["007.Unknown"])
    with pytest.raises(DataError) as caught:
        configured("cub", tmp_path).load(CPU, "test")
    one_line(caught, f"{tmp_path} contains no images of CUB-200-2011 with captions")


def test_that_unknown_classes_are_reported(configured, tmp_path):
    write_cub(tmp_path)
    with pytest.raises(DataError) as caught:
        configured("cub", tmp_path, classes=["a", "b"]).load(CPU)
    one_line(caught, "004.Fish_Crow", "has class 4, and there are only 2 classes")


def test_that_images_without_a_class_are_reported(configured, tmp_path):
    write_cub(tmp_path)
    put(tmp_path / "CUB_200_2011" / "image_class_labels.txt", ["1 1"])
    with pytest.raises(DataError) as caught:
        configured("cub", tmp_path).load(CPU)
    one_line(caught, f"image 2 of {tmp_path / 'CUB_200_2011' / 'images.txt'} has no class or no split")


@everything(NAMES)
@HOW
def test_a_broken_photograph_is_named(case, tmp_path, resident):
    make, _ = case
    (path,) = tmp_path.rglob("*0003*.jpg")
    os.truncate(path, 100)
    with pytest.raises(DataError) as caught:
        list(islice(make(resident=resident).load(CPU).stream(0, 9, 0), 9))
    assert one_line(caught, str(path)).endswith("repair or remove it")
    path.unlink()
    with pytest.raises(DataError) as caught:
        list(islice(make(resident=resident).load(CPU).stream(0, 9, 0), 9))
    one_line(caught, str(path))


def test_that_a_missing_image_folder_is_reported(configured, tmp_path):
    write_coco(tmp_path)
    (tmp_path / "coco" / "train2017").rename(tmp_path / "gone")
    with pytest.raises(DataError) as caught:
        configured("coco", tmp_path).load(CPU)
    one_line(caught, f"there is no {tmp_path / 'coco' / 'train2017'}; ", "cocodataset.org")


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    write_cub(tmp_path / "birds")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(CUB(root="~/birds", image_size=8).load(CPU)) == 9
