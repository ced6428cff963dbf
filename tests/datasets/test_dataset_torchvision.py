"""torchvision's image sets, as configured, from small copies in the published layouts."""

import functools
import io
import os
import pickle
import struct
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.error import URLError

import lmdb
import numpy as np
import pytest
import scipy.io
import torch
import torchvision
from omegaconf import OmegaConf
from PIL import Image

from gan_runner.cli.messages import explain
from gan_runner.config.instantiate import build
from gan_runner.config.paths import CONF
from gan_runner.config.resolve import resolve
from gan_runner.datasets.images import as_bytes, fit
from gan_runner.datasets.torchvision import TorchvisionImages
from gan_runner.errors import ConfigError, DataError

CPU = torch.device("cpu")
CHECKED = ("cifar", "svhn", "stl10", "celeba")  # the modules that compare checksums


@dataclass
class Written:
    """What a fixture holds: images (n, c, h, w) uint8, and labels."""

    images: np.ndarray
    labels: np.ndarray
    tolerance: int = 0


def noise(n, *shape, seed=0):
    """Images of noise."""
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def write_idx(path, array):
    """The IDX format: two zeros, the type (8: bytes), the number of dimensions, the sizes, big-endian."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_mnist(root, folder="MNIST"):
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    images, labels = noise(12, 28, 28), np.arange(12) % 10
    write_idx(raw / "train-images-idx3-ubyte", images)
    write_idx(raw / "train-labels-idx1-ubyte", labels)
    write_idx(raw / "t10k-images-idx3-ubyte", images[:3] // 2)
    write_idx(raw / "t10k-labels-idx1-ubyte", labels[:3])
    return Written(images[:, None], labels)


def write_pickle(path, content):
    path.write_bytes(pickle.dumps(content, protocol=2))


def write_cifar10(root):
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    images, labels = noise(20, 3, 32, 32), np.arange(20) % 10
    names = [f"data_batch_{i}" for i in range(1, 6)]
    for i, name in enumerate([*names, "test_batch"]):
        part = slice(4 * (i % 5), 4 * (i % 5) + 4)
        content = {
            "data": images[part].reshape(4, 3072),
            "labels": labels[part].tolist(),
        }
        write_pickle(folder / name, content)
    write_pickle(folder / "batches.meta", {"label_names": [f"class {i}" for i in range(10)]})
    return Written(images, labels)


def write_cifar100(root):
    folder = root / "cifar-100-python"
    folder.mkdir()
    images, fine = noise(10, 3, 32, 32), np.arange(10) * 11
    for name in ("train", "test"):
        content = {"data": images.reshape(10, 3072), "fine_labels": fine.tolist(), "coarse_labels": [0] * 10}
        write_pickle(folder / name, content)
    write_pickle(folder / "meta", {"fine_label_names": [f"class {i}" for i in range(100)]})
    return Written(images, fine)


def write_svhn(root):
    """Height, width, channel, number; the digit 0 is labelled 10."""
    images, labels = noise(10, 3, 32, 32), np.arange(10)
    labelled = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
    scipy.io.savemat(root / "train_32x32.mat", {"X": images.transpose(2, 3, 1, 0), "y": labelled})
    return Written(images, labels)


def write_stl10(root):
    """Columns first, classes from 1."""
    folder = root / "stl10_binary"
    folder.mkdir()
    images = noise(6, 3, 96, 96)
    for name, part in (("train", images[:2]), ("test", images[:2]), ("unlabeled", images)):
        (folder / f"{name}_X.bin").write_bytes(part.transpose(0, 1, 3, 2).tobytes())
    for name in ("train", "test"):
        (folder / f"{name}_y.bin").write_bytes(bytes([10, 1]))
    return Written(images, np.full(6, -1))


def write_celeba(root):
    """Aligned photographs of 178×218, forty attributes of ±1, and the lists beside them."""
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{i:06d}.jpg" for i in range(1, 9)]
    attributes = np.random.default_rng(0).integers(0, 2, (8, 40))
    images = []
    for i, name in enumerate(names):
        y, x = np.mgrid[:218, :178]
        photograph = np.stack([y, x, np.full_like(x, 30 * i)], 2).astype(np.uint8)  # smooth: JPEG keeps it
        Image.fromarray(photograph).save(folder / "img_align_celeba" / name, quality=95, subsampling=0)
        images.append(torch.as_tensor(photograph).permute(2, 0, 1))
    rows = {
        "list_attr_celeba": [" ".join(f"{2 * bit - 1:2d}" for bit in row) for row in attributes],
        "identity_CelebA": [str(i) for i in range(8)],
        "list_bbox_celeba": ["10 20 100 150"] * 8,
        "list_landmarks_align_celeba": ["69 109 106 113 77 142 73 152 108 154"] * 8,
        "list_eval_partition": [*"00001122"],
    }
    headers = {
        "list_attr_celeba": ["8", " ".join(f"Attribute_{i}" for i in range(40))],
        "list_bbox_celeba": ["8", "image_id x_1 y_1 width height"],
        "list_landmarks_align_celeba": ["8", "lefteye_x lefteye_y righteye_x righteye_y nose_x"],
    }
    for file, values in rows.items():
        lines = [*headers.get(file, []), *(f"{name} {value}" for name, value in zip(names, values))]
        (folder / f"{file}.txt").write_text("\n".join(lines) + "\n")
    return Written(fit(torch.stack(images[:4]), 64, 3).numpy(), attributes[:4], tolerance=4)


def write_lsun(root):
    """An LMDB whose values are WebP files."""
    images = noise(5, 3, 64, 64)
    database = lmdb.open(str(root / "bedroom_train_lmdb"), map_size=2**24)
    with database, database.begin(write=True) as transaction:
        for i, image in enumerate(images):
            file = io.BytesIO()
            Image.fromarray(image.transpose(1, 2, 0)).save(file, "webp", lossless=True)
            transaction.put(f"{i:040x}".encode(), file.getvalue())
    return Written(images, np.zeros(5))


WRITERS = {
    "mnist": write_mnist,
    "fashion_mnist": lambda root: write_mnist(root, "FashionMNIST"),
    "kmnist": lambda root: write_mnist(root, "KMNIST"),
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "svhn": write_svhn,
    "stl10": write_stl10,
    "celeba": write_celeba,
    "lsun": write_lsun,
}
NAMES = list(WRITERS)
DOWNLOADED = [name for name in NAMES if name not in ("celeba", "lsun")]


@pytest.fixture(autouse=True)
def _sums_unchecked(monkeypatch, tmp_path):
    """Small copies cannot have the published checksums; LSUN writes an index into the working directory."""
    for module in CHECKED:
        target = getattr(torchvision.datasets, module)
        monkeypatch.setattr(target, "check_integrity", lambda path, md5=None: os.path.isfile(path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def configured(hydra_config):
    """A dataset as `gan-run dataset=NAME …` builds it."""
    composed = functools.cache(lambda name: hydra_config(f"dataset={name}"))

    def dataset(name, root, **options):
        config = composed(name).copy()
        for option, value in {"root": str(root), **options}.items():
            OmegaConf.update(config, f"dataset.{option}", value, force_add=False)
        return build("dataset", resolve(config).dataset)

    return dataset


def test_every_configured_set_is_tried():
    files = (CONF / "dataset").glob("*.yaml")
    assert {
        path.stem
        for path in files
        if "_target_: gan_runner.datasets.torchvision.TorchvisionImages\nname" in path.read_text()
    } == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_pixels_and_labels_survive(configured, tmp_path, name):
    written = WRITERS[name](tmp_path)
    dataset = configured(name, tmp_path)
    assert dataset.shape == written.images.shape[1:]
    data = dataset.load(CPU)
    assert data.labels.dtype == torch.int64
    assert data.labels.tolist() == written.labels.tolist()
    difference = data.images.int() - torch.as_tensor(written.images).int()
    assert difference.abs().max() <= written.tolerance
    assert data.describe().startswith(f"{len(written.images)} images")
    assert dataset.name in data.describe()


@pytest.mark.parametrize("name", NAMES)
def test_streamed_batches_are_those_from_memory(configured, tmp_path, name):
    WRITERS[name](tmp_path)
    memory = configured(name, tmp_path, resident=True).load(CPU)
    workers = 1 if name in ("celeba", "lsun") else 0  # an array needs none
    streamed = configured(name, tmp_path, resident=False, workers=workers).load(CPU)
    for left, right in islice(zip(memory.stream(0, 3, 0), streamed.stream(0, 3, 0)), 3):
        assert torch.equal(left["data"], right["data"])
        assert torch.equal(left["label"], right["label"])


@pytest.mark.parametrize("name", NAMES)
def test_size_and_channels_are_the_users(configured, tmp_path, name):
    written = WRITERS[name](tmp_path)
    dataset = configured(name, tmp_path, image_size=16, channels=1)
    batch = next(dataset.load(CPU).stream(0, 2, 0))
    assert batch["data"].shape == (2, 1, 16, 16)
    if name not in ("celeba",):  # the fixture is already fitted once
        wanted = fit(torch.as_tensor(written.images), 16, 1)
        assert torch.equal(dataset.load(CPU).images, wanted)


def test_the_test_split_is_another(configured, tmp_path):
    written = write_mnist(tmp_path)
    data = configured("mnist", tmp_path, **{"images.train": False}).load(CPU)
    assert np.array_equal(data.images.numpy(), written.images[:3] // 2)


def test_stl10_has_labels_from_zero(configured, tmp_path):
    write_stl10(tmp_path)
    data = configured("stl10", tmp_path, **{"images.split": "train"}).load(CPU)
    assert data.labels.tolist() == [9, 0]
    assert data.labels.dtype == torch.int64


@pytest.mark.parametrize(("split", "count"), [("train", 4), ("valid", 2), ("test", 2), ("all", 8)])
def test_celeba_has_its_splits(configured, tmp_path, split, count):
    write_celeba(tmp_path)
    data = configured("celeba", tmp_path, **{"images.split": split}).load(CPU)
    assert data.labels.shape == (count, 40)
    assert set(data.labels.flatten().tolist()) == {0, 1}


def one_line(caught, *words):
    """Whether an error is one line that holds all these."""
    line = str(caught.value)
    assert "\n" not in line
    assert explain(caught.value) == line
    for word in words:
        assert word in line


@pytest.mark.parametrize("name", NAMES)
def test_that_the_error_for_missing_data_names_folder_and_remedy(configured, tmp_path, name):
    dataset = configured(name, "not here")
    with pytest.raises(DataError) as caught:
        dataset.load(CPU)
    one_line(caught, f"no {dataset.name} at {tmp_path / 'not here'} (", "dataset.root")
    assert ("dataset.download=true" in str(caught.value)) == (name != "lsun")


@pytest.mark.parametrize("name", NAMES)
def test_a_home_folder_is_named_in_full(configured, tmp_path, name, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError) as caught:
        configured(name, "~/data").load(CPU)
    one_line(caught, f" at {tmp_path / 'data'} (")


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_failed_download_does_not_advise_to_download(configured, tmp_path, name, monkeypatch):
    def unreachable(*arguments, **options):
        raise URLError("no network")

    for module in ("mnist", "cifar", "svhn", "stl10"):
        for function in ("download_and_extract_archive", "download_url"):
            monkeypatch.setattr(getattr(torchvision.datasets, module), function, unreachable, raising=False)
    with pytest.raises(DataError) as caught:
        configured(name, tmp_path, download=True).load(CPU)
    one_line(caught, str(tmp_path), "no network", "the download failed; try again", "dataset.root")
    assert "dataset.download=true" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_that_broken_files_are_reported_in_one_line(configured, tmp_path, name):
    """Every file but the images of CelebA is cut short."""
    WRITERS[name](tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.suffix != ".jpg":
            os.truncate(path, min(7, path.stat().st_size))
    with pytest.raises(DataError) as caught:
        configured(name, tmp_path).load(CPU)
    one_line(caught, str(tmp_path))


@pytest.mark.parametrize("kept", [600, 3000])
@pytest.mark.parametrize("resident", [True, False])
def test_a_broken_photograph_of_celeba_is_named(configured, tmp_path, resident, kept):
    """Cut short in its header, or after it."""
    write_celeba(tmp_path)
    path = tmp_path / "celeba" / "img_align_celeba" / "000002.jpg"
    os.truncate(path, kept)
    dataset = configured("celeba", tmp_path, resident=resident, workers=0)
    with pytest.raises(DataError) as caught:
        next(dataset.load(CPU).stream(0, 4, 0))
    line = explain(caught.value)
    assert line.partition(" cannot be read as an image")[0] in (str(path), path.name)
    assert line.endswith("repair or remove it")


@pytest.mark.parametrize(("name", "package"), [("lsun", "lmdb"), ("svhn", "scipy")])
def test_a_missing_package_is_named(configured, tmp_path, name, package, monkeypatch):
    WRITERS[name](tmp_path)
    for module in [package, *(loaded for loaded in sys.modules if loaded.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError) as caught:
        configured(name, tmp_path).load(CPU)
    one_line(caught, f"needs {package}", "pip install 'gan-runner[datasets]'")


def test_an_option_that_torchvision_does_not_take_is_a_bad_configuration(hydra_config):
    with pytest.raises(ConfigError, match="LSUN takes no such option"):
        resolve(hydra_config("dataset=lsun", "+dataset.images.train=true"))


def test_a_set_without_arrays_is_read_one_by_one(tmp_path):
    """Such as those whose `data` is a list of paths."""

    class Paths:
        data = ("0.png", "1.png")
        targets = (1, 0)

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return Image.open(tmp_path / self.data[index]), self.targets[index]

    for i in range(2):
        Image.new("L", (4, 4), i).save(tmp_path / f"{i}.png")
    dataset = TorchvisionImages(images=Paths, name="paths", root=str(tmp_path), image_size=4, channels=1)
    data = dataset.load(CPU)
    assert data.images[:, 0, 0, 0].tolist() == [0, 1]
    assert data.labels.tolist() == [1, 0]


class Invert:
    """A transform to floats from 0 to 1, inverted."""

    def __call__(self, image):
        return torch.as_tensor(1 - np.asarray(image, dtype=np.float32) / 255)[None]


@pytest.mark.parametrize("resident", [True, False])
def test_a_transform_is_applied_to_sets_kept_as_arrays_too(tmp_path, resident):
    written = write_mnist(tmp_path)
    images = functools.partial(
        torchvision.datasets.MNIST, root=str(tmp_path), transform=Invert(), target_transform=lambda label: 9 - label
    )
    options = {"image_size": 28, "channels": 1, "resident": resident, "workers": 0}
    data = TorchvisionImages(images=images, name="digits", root="", classes=10, **options).load(CPU)
    batch = next(data.epoch(12))
    assert torch.equal(as_bytes(batch["data"]), torch.as_tensor(255 - written.images))
    assert batch["label"].tolist() == (9 - written.labels).tolist()


def test_qmnist_has_numbers_as_labels(tmp_path):
    raw = tmp_path / "QMNIST" / "raw"
    raw.mkdir(parents=True)
    images, labels = noise(6, 28, 28), (np.arange(48).reshape(6, 8) // 8).astype(">i4")
    write_idx(raw / "qmnist-train-images-idx3-ubyte", images)
    (raw / "qmnist-train-labels-idx2-int").write_bytes(struct.pack(">BBBB2I", 0, 0, 12, 2, 6, 8) + labels.tobytes())
    images_of = functools.partial(torchvision.datasets.QMNIST, root=str(tmp_path))
    options = {"image_size": 28, "channels": 1, "classes": 10}
    data = TorchvisionImages(images=images_of, name="QMNIST", root=str(tmp_path), **options).load(CPU)
    assert np.array_equal(data.images[:, 0].numpy(), images)
    assert data.labels.tolist() == [0, 1, 2, 3, 4, 5]


def test_splits_and_copies_of_a_streamed_lsun_open_it_once(configured, tmp_path):
    written = write_lsun(tmp_path)
    train, again = (configured("lsun", tmp_path, resident=False, workers=0, held_out=2) for _ in range(2))
    images = [*train.load(CPU).epoch(3), *again.load(CPU, "validation").epoch(2)]
    found = [image.tobytes() for batch in images for image in as_bytes(batch["data"]).numpy()]
    assert sorted(found) == sorted(image.tobytes() for image in written.images)


def test_the_real_mnist(configured, data_root):
    data = configured("mnist", Path(data_root).absolute()).load(CPU)
    assert data.images.shape == (60_000, 1, 28, 28)
    assert data.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert torch.bincount(data.labels).tolist() == counts
    pixels = data.images.float() / 255
    assert pixels.mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std().item() == pytest.approx(0.3081, abs=5e-5)
