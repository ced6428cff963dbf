"""Labels: vectors and words lead to each other; every dataset knows what its own mean, without any file."""

import re
from pathlib import Path

import pytest
import torch
import torchvision
from omegaconf import OmegaConf
from PIL import Image
from torch.nn.functional import one_hot

from gan_runner.config.instantiate import build
from gan_runner.config.paths import CONF
from gan_runner.config.resolve import resolve
from gan_runner.datasets.digits import Digits
from gan_runner.datasets.folder import ImageFolder
from gan_runner.datasets.labels import Attributes, Classes
from gan_runner.datasets.point import PointMass
from gan_runner.datasets.stacked import StackedDigits
from gan_runner.datasets.torchvision import TorchvisionImages
from gan_runner.datasets.toy import GaussianMixture, ParallelLines, Ring, SwissRoll
from gan_runner.errors import DataError
from gan_runner.runs.saved import open_checkpoint

CPU = torch.device("cpu")
ANIMALS = Classes(("cat", "dog", "Ankle_boot"))
INK = Attributes(("0", "1", "2", "red", "blue", "Wearing_Hat"), (("0", "1", "2"), ("red", "blue")))


def test_classes_are_one_hot():
    label = torch.randint(3, (50,))
    assert torch.equal(ANIMALS.vectors(label), one_hot(label, 3).float())
    assert ANIMALS.dim == 3
    assert torch.equal(ANIMALS.vectors(torch.tensor([-1])), torch.zeros(1, 3))


@pytest.mark.usefixtures("_float64")
def test_vectors_are_of_the_precision_of_the_networks():
    assert ANIMALS.vectors(torch.tensor([0])).dtype == torch.float64
    assert INK.vectors(torch.zeros(1, 6, dtype=torch.long)).dtype == torch.float64


def test_vectors_need_no_look_at_the_labels():
    """On the meta device nothing has a value; side by side, labels have an axis more."""
    assert ANIMALS.vectors(torch.zeros(4, dtype=torch.long, device="meta")).shape == (4, 3)
    labels = torch.tensor([[0, 1], [2, 2]])
    assert torch.equal(torch.func.vmap(ANIMALS.vectors)(labels), one_hot(labels, 3).float())


@pytest.mark.parametrize("labels", [ANIMALS, INK, Classes(tuple(map(str, range(10))))])
def test_that_parse_inverts_describe(labels):
    if isinstance(labels, Classes):
        vectors = torch.eye(labels.dim)
    else:
        vectors = torch.stack([labels.parse(f"{d}, {c}{hat}") for d in "012" for c in ("red", "blue") for hat in HATS])
        assert len(vectors.unique(dim=0)) == 12
    assert torch.equal(torch.stack([labels.parse(labels.describe(vector)) for vector in vectors]), vectors)


HATS = ("", ", wearing hat")


def test_that_names_match_in_any_case():
    assert ANIMALS.parse(" ankle boot").tolist() == [0, 0, 1]
    assert ANIMALS.parse("1").tolist() == [0, 1, 0]
    assert Classes(("5", "6")).parse("5").tolist() == [1, 0]
    assert Classes(("Cat", "cat")).parse("cat").tolist() == [0, 1]
    assert INK.parse("RED,2 , wearing_hat").tolist() == [0, 0, 1, 1, 0, 1]
    assert INK.describe(INK.parse("wearing hat, blue, 0")) == "0, blue, Wearing_Hat"


def test_that_mixtures_are_described_by_their_largest_part():
    assert ANIMALS.describe(torch.tensor([0.2, 0.5, 0.3])) == "dog"
    assert INK.describe(torch.tensor([0.1, 0.3, 0.2, 0.4, 0.3, 0.4])) == "1, red"
    assert INK.describe(torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, 1.0])) == "2, Wearing_Hat"


@pytest.mark.parametrize(
    ("labels", "text", "complaint"),
    [
        (ANIMALS, "cot", "there is no class 'cot'; did you mean cat?"),
        (ANIMALS, "3", "there is no class '3'; choose from cat, dog, Ankle_boot"),
        (ANIMALS, "-1", "there is no class '-1'; choose from cat, dog, Ankle_boot"),
        (ANIMALS, "", "there is no class ''; choose from cat, dog, Ankle_boot"),
        (Classes(tuple(f"{i:03}" for i in range(1000))), "x", "; choose from 000, 001, … 999 (1,000)"),
        (INK, "rad, 3", "there is no attribute 'rad'; did you mean red?"),
        (INK, "red, 7", "there is no attribute '7'; choose from 0, 1, 2, red, blue, Wearing_Hat"),
        (INK, "red, blue, 1", "red and blue exclude each other"),
        (INK, "red", "'red' is incomplete; add one of 0, 1, 2"),
    ],
)
def test_that_unknown_names_are_reported(labels, text, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        labels.parse(text)


def test_names_that_choose_nothing_are_refused():
    with pytest.raises(ValueError, match="two classes are named 'cat'"):
        Classes(("cat", "cat"))
    with pytest.raises(ValueError, match="classes need at least one name"):
        Classes(())
    with pytest.raises(ValueError, match="attributes need at least one name, and no empty names"):
        Attributes(("red", ""))
    with pytest.raises(ValueError, match="commas separate attributes"):
        Attributes(("red, light",))
    for groups in ((("red", "green"),), (("red",), ("red", "blue"))):
        with pytest.raises(ValueError, match="groups must consist of attributes, each in at most one group"):
            Attributes(("red", "blue"), groups)


# Every dataset


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "dataset").glob("*.yaml")))
def test_that_labels_are_known_without_files(hydra_config, name):
    config = hydra_config(f"dataset={name}")
    if "root" in config.dataset.keys():  # noqa: SIM118  (a missing value is not `in` it)
        config.dataset.root = "/nowhere"
    labels = build("dataset", resolve(config).dataset).labels
    if name in {*UNLABELLED, *DIMS}:
        assert (None if labels is None else labels.dim) == DIMS.get(name)
    if labels is not None:
        assert labels.dim == len(labels.names)
        example = labels.parse(EXAMPLES.get(name, labels.names[0]))
        assert torch.equal(labels.parse(labels.describe(example)), example)


UNLABELLED = {"coco", "image_folder", "lsun", "point_mass", "stl10", "swiss_roll"}
DIMS = {
    **dict.fromkeys(("digits", "mnist", "svhn", "kmnist", "fashion_mnist", "cifar10", "stl10_labelled"), 10),
    "cifar100": 100,
    "celeba": 40,
    "stacked_mnist": 1000,
    "ring8": 8,
    "grid25": 25,
    "gaussian": 1,
    "gaussian_mixture": 3,
    "color_mnist": 20,
    "color_digits": 20,
    "captioned_shapes": 30,
    "cub": 200,
    "oxford102": 102,
    "parallel_lines": 1,
}
EXAMPLES = {
    **dict.fromkeys(DIMS, "0"),
    "kmnist": "su",
    "fashion_mnist": "Ankle boot",
    "cifar10": "cat",
    "cifar100": "maple tree",
    "celeba": "Smiling, Male",
    "stacked_mnist": "209",
    "stl10_labelled": "monkey",
    "color_mnist": "red, 7",
    "color_digits": "pink, 0",
    "cub": "1",
    "oxford102": "black-eyed susan",
    "captioned_shapes": "small, red, circle, top left, white background",
}


@pytest.mark.parametrize(("name", "published"), [("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")])
def test_names_are_those_that_torchvision_knows(hydra_config, name, published):
    dataset = build("dataset", resolve(hydra_config(f"dataset={name}")).dataset)
    assert list(dataset.labels.names) == getattr(torchvision.datasets, published).classes


@pytest.mark.parametrize("dataset", [Ring(count=5), GaussianMixture(means=((0.0,), (4.0,), (9.0,)), std=0.01)])
def test_a_component_is_the_mode_that_a_point_is_near(dataset):
    batch = next(dataset.load(CPU).stream(0, 100, 0))
    nearest = torch.cdist(batch["data"], dataset.modes).argmin(1)
    assert torch.equal(dataset.labels.vectors(batch["label"]), one_hot(nearest, dataset.labels.dim).float())


def test_labels_of_a_batch_are_within_those_that_are_known():
    for dataset in (Digits(image_size=8), StackedDigits(digits=Digits(image_size=8, resident=True)), ParallelLines()):
        vectors = dataset.labels.vectors(next(dataset.load(CPU).stream(0, 200, 0))["label"])
        assert vectors.shape == (200, dataset.labels.dim)
        assert (vectors.sum(1) == 1).all()
    assert PointMass((0.0,)).labels is SwissRoll().labels is None


def test_a_label_has_one_meaning():
    with pytest.raises(ValueError, match=r"dataset\.classes and dataset\.attributes exclude each other"):
        TorchvisionImages(images=list, name="x", root="", classes=2, attributes=("a",))
    with pytest.raises(ValueError, match="two classes are named 'a'"):
        TorchvisionImages(images=list, name="x", root="", classes=("a", "a"))


# Folders


def paint(path, grey=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), grey).save(path)


def test_a_folders_classes_are_its_subfolders(tmp_path):
    for name in ("b", "a", "c"):
        paint(tmp_path / "train" / name / "deep" / "0.png")
    paint(tmp_path / "train" / ".hidden" / "0.png")
    dataset = ImageFolder(root=str(tmp_path / "train"))
    assert dataset.labels == Classes(("a", "b", "c"))
    paint(tmp_path / "train" / "0.png")
    assert ImageFolder(root=str(tmp_path / "train")).labels == Classes((".", "a", "b", "c"))
    assert ImageFolder(root=str(tmp_path / "train" / "a" / "deep")).labels is None
    assert ImageFolder(root=str(tmp_path / "missing")).labels is None


def test_a_folder_for_testing_may_lack_a_class_and_may_not_have_others(tmp_path):
    for path in ("train/a/0.png", "train/b/0.png", "test/b/0.png"):
        paint(tmp_path / path)
    dataset = ImageFolder(root=str(tmp_path / "train"), test_root=str(tmp_path / "test"))
    assert dataset.load(CPU, "test").labels.tolist() == [1]
    paint(tmp_path / "test" / "z" / "0.png")
    with pytest.raises(DataError, match="/test/z is not one of the classes a, b; move its images"):
        dataset.load(CPU, "test")


def test_named_classes_keep_their_order(tmp_path):
    for name in ("b", "a"):
        paint(tmp_path / name / "0.png")
    dataset = ImageFolder(root=str(tmp_path), classes=("b", "a"))
    assert dataset.load(CPU).labels.tolist() == [1, 0]


def test_a_checkpoint_knows_the_classes_of_a_folder_that_is_gone(gan_run, tmp_path):
    for name in ("cat", "7"):
        for number in range(8):
            paint(tmp_path / "images" / name / f"{number}.png")
    options = ["experiment=smoke", "dataset=image_folder", "dataset.image_size=8", "dataset.channels=1"]
    code, _, err = gan_run(*options, "dataset.root=images", "hydra.run.dir=run", "trainer.steps=2", "model=mlp")
    assert code == 0, err
    (tmp_path / "images").rename(tmp_path / "gone")
    system = open_checkpoint(Path("run/checkpoints/last.pt")).system("cpu")
    assert system.dataset.labels == Classes(("7", "cat"))
    assert list(OmegaConf.load("run/config.yaml").dataset.classes) == ["7", "cat"]


def test_a_class_is_named_by_its_name_or_its_number():
    assert [Classes(("cat", "dog")).index_of(text) for text in ("Dog", "0")] == [1, 0]
    for names, text, index in ((("01", "02", "03"), "02", 1), (("3", "8"), "8", 1), (("cat", "7", "dog"), "7", 1)):
        assert Classes(names).index_of(text) == index
    for names in (("01", "02", "03"), ("3", "8"), ("cat", "7", "dog")):  # a number is meant as a name
        with pytest.raises(ValueError, match="there is no class '1'"):
            Classes(names).index_of("1")


def test_vectors_are_converted_back_to_labels():
    labels = torch.tensor([2, 0, 1])
    assert torch.equal(Classes(("a", "b", "c")).from_vectors(Classes(("a", "b", "c")).vectors(labels)), labels)
    attributes = torch.tensor([[1, 0, 1], [0, 1, 0]], dtype=torch.uint8)
    red_or_blue = Attributes(("red", "blue", "hat"), (("red", "blue"),))
    assert torch.equal(red_or_blue.from_vectors(red_or_blue.vectors(attributes)), attributes)


def test_an_attribute_is_named_by_its_name():
    assert Attributes(("red", "blue", "Wearing_Hat"), (("red", "blue"),)).index_of("wearing hat") == 2
    with pytest.raises(ValueError, match="there is no attribute 'blau'; did you mean blue"):
        Attributes(("red", "blue")).index_of("blau")
