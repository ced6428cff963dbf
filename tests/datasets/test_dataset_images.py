"""Images: conversion, normalisation and mirroring; in memory or streamed, the batches are the same."""

import io
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

import gan_runner.datasets.images as images_module
from gan_runner.cli.messages import report_error
from gan_runner.datasets.images import (
    ArraySource,
    ImageDataset,
    ResidentImages,
    Source,
    StreamedImages,
    decode,
    end_workers,
    fit,
    mirrored,
    normalised,
    prefetch_to_gpu,
    prepare_worker,
    resize,
    to_grey,
)
from gan_runner.datasets.labels import Attributes, Classes
from gan_runner.errors import DataError, WorkerLost

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(0)


def noise(height, width, channels=3):
    """A picture of noise."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def tensor(array):
    """An array (h, w) or (h, w, c) as a tensor (c, h, w)."""
    return torch.tensor(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)


def flat(mode, colour, size=(6, 6)):
    """A picture of one colour."""
    return Image.new(mode, size, colour)


@dataclass(frozen=True, kw_only=True)
class Pictures(ImageDataset):
    """Pairs of a PIL image and a label."""

    items: Any

    def source(self):
        return Source("pictures", self.items, self.image_size, self.channels)


def numbered(n, **options):
    """`n` pictures, the i-th with i in all its pixels but for a white left half, and the label i."""
    array = np.repeat(np.arange(n, dtype=np.uint8), 64).reshape(n, 8, 8).copy()
    array[:, :, :4] = 255
    items = [(Image.fromarray(picture), i) for i, picture in enumerate(array)]
    return Pictures(items=items, **{"image_size": 8, "channels": 1, **options})


def same(left, right):
    """Whether two batches are equal to the bit."""
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


# Values


def test_bytes_fill_minus_one_to_one():
    values = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    data = normalised(values).flatten()
    assert data.dtype == torch.float32
    assert (data[0], data[255]) == (-1, 1)
    assert torch.allclose(data.double(), torch.arange(256).double() / 127.5 - 1, atol=1.2e-7, rtol=0)
    assert torch.equal(((data + 1) * 127.5).round().to(torch.uint8), values.flatten())


def test_normalising_leaves_the_bytes_alone():
    values = torch.randint(0, 256, (3, 1, 4, 4), dtype=torch.uint8)
    kept = values.clone()
    mirrored(normalised(values), 3, seed=0, number=0)
    assert torch.equal(values, kept)


def test_grey_is_pillows_to_the_bit():
    colours = noise(200, 300)
    assert torch.equal(to_grey(tensor(colours)), tensor(np.asarray(Image.fromarray(colours).convert("L"))))


def test_grey_of_grey_is_itself():
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    assert torch.equal(to_grey(ramp.expand(3, 16, 16)), ramp)
    assert torch.equal(fit(fit(ramp, 16, 3), 16, 1), ramp)


# Sizes and channels


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("own", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (12, 12), (9, 20), (31, 10), (5, 3)])
def test_that_pil_images_and_tensors_give_the_same_result(height, width, own, channels):
    array = noise(height, width, own)
    picture = fit(Image.fromarray(array), 8, channels)
    assert picture.shape == (channels, 8, 8)
    assert picture.dtype == torch.uint8
    assert torch.equal(picture, fit(tensor(array), 8, channels))


def test_a_stack_comes_out_as_its_pictures_do():
    stack = torch.stack([tensor(noise(20, 12)) for _ in range(5)])
    assert torch.equal(fit(stack, 8, 1), torch.stack([fit(picture, 8, 1) for picture in stack]))


def test_a_picture_of_the_right_size_is_untouched():
    array = noise(16, 16)
    assert torch.equal(fit(Image.fromarray(array), 16, 3), tensor(array))


@pytest.mark.parametrize(("height", "width"), [(8, 14), (14, 8)])
def test_the_longer_side_is_cropped_evenly(height, width):
    array = noise(height, width)
    middle = array[3:-3] if height > width else array[:, 3:-3]
    assert torch.equal(fit(Image.fromarray(array), 8, 3), tensor(middle))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (40, 60), (100, 30), (7, 5)])
def test_resizing_is_pillows_antialiased_bilinear(height, width):
    picture = Image.fromarray(noise(height, width))
    scale = 16 / min(height, width)
    width, height = (16, int(height * scale)) if width < height else (int(width * scale), 16)
    left, top = round((width - 16) / 2), round((height - 16) / 2)
    wanted = picture.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 16, top + 16))
    difference = fit(picture, 16, 3).int() - tensor(np.asarray(wanted)).int()
    assert difference.abs().max() <= 1


@pytest.mark.parametrize("size", [7, 16, 33, 64])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (40, 61), (101, 30), (7, 5), (8, 64)])
def test_resizing_is_torchvisions_to_the_bit(height, width, size):
    for pixels in (tensor(noise(height, width)), torch.stack([tensor(noise(height, width, 1))] * 3)):
        wanted = functional.center_crop(functional.resize(pixels, [size], antialias=True), [size, size])
        assert torch.equal(resize(pixels, size), wanted)


@pytest.mark.parametrize("size", [1, 3, 16, 50])
def test_one_colour_stays_one_colour(size):
    picture = fit(flat("RGB", (200, 100, 50), (20, 13)), size, 3)
    assert torch.equal(picture, torch.tensor([200, 100, 50], dtype=torch.uint8).view(3, 1, 1).expand(3, size, size))


def test_a_picture_that_is_mirrored_first_comes_out_mirrored():
    array = noise(21, 33)
    assert torch.equal(fit(Image.fromarray(array[:, ::-1]), 8, 3), fit(Image.fromarray(array), 8, 3).flip(2))


# What files hold


def stored(picture, kind, **options):
    """A picture written to a file of some kind and opened again."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return Image.open(io.BytesIO(file.getvalue()))


def test_sixteen_bits_are_scaled_to_eight():
    values = np.arange(256, dtype=np.uint16).reshape(16, 16)
    for kind in ("png", "tiff"):
        picture = stored(Image.fromarray(values * 257), kind)
        assert picture.mode.startswith("I")
        assert torch.equal(fit(picture, 16, 1), torch.as_tensor(values.astype(np.uint8)).unsqueeze(0))


def test_floats_from_zero_to_one_are_scaled():
    values = np.arange(256, dtype=np.float32).reshape(16, 16) / 255
    expected = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    assert torch.equal(fit(stored(Image.fromarray(values), "tiff"), 16, 1), expected)
    assert torch.equal(fit(torch.from_numpy(values)[None], 16, 1), expected)


def test_a_portable_greymap_of_sixteen_bits_is_scaled():
    values = np.arange(256, dtype=np.uint16).reshape(16, 16)
    picture = stored(Image.fromarray(values * 257), "ppm")
    assert torch.equal(fit(picture, 16, 1), torch.as_tensor(values.astype(np.uint8)).unsqueeze(0))


@pytest.mark.parametrize("values", [[0, 255], [0, 65535], [-5, 10**6]])
def test_thirty_two_bits_are_refused_because_white_is_unknown(values):
    picture = stored(Image.fromarray(np.array([values], dtype=np.int32)), "tiff")
    with pytest.raises(ValueError, match=f"its values are int32 from {values[0]} to .* 8 or 16 bits .* are needed"):
        fit(picture, 2, 1)


@pytest.mark.parametrize("values", [[0.0, 77.0], [-0.1, 0.5], [np.nan, 0.5]])
def test_other_floats_are_refused_because_white_is_unknown(values):
    picture = stored(Image.fromarray(np.array([values], dtype=np.float32)), "tiff")
    with pytest.raises(ValueError, match=r"its values are float32 from .* to .*, where 8 or 16 bits or floats"):
        fit(picture, 2, 1)


def test_one_bit_is_black_and_white():
    values = RANDOM.random((16, 16)) < 0.5
    picture = stored(Image.fromarray(values), "png")
    assert picture.mode == "1"
    assert torch.equal(fit(picture, 16, 3), torch.as_tensor(values * np.uint8(255)).expand(3, 16, 16))


def test_a_palette_is_looked_up():
    colours = Image.fromarray(noise(16, 16)).quantize(100)
    picture = stored(colours, "png")
    assert picture.mode == "P"
    assert torch.equal(fit(picture, 16, 3), tensor(np.asarray(colours.convert("RGB"))))
    assert torch.equal(fit(picture, 16, 1), tensor(np.asarray(colours.convert("RGB").convert("L"))))


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("RGBA", (200, 100, 0, 255), (200, 100, 0)),
        ("RGBA", (200, 100, 0, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
        ("LA", (10, 255), (10, 10, 10)),
        ("LA", (10, 0), (255, 255, 255)),
        ("CMYK", (0, 0, 0, 0), (255, 255, 255)),
        ("CMYK", (255, 0, 0, 0), (0, 255, 255)),
        ("CMYK", (0, 0, 0, 255), (0, 0, 0)),
        ("YCbCr", (255, 128, 128), (255, 255, 255)),
        ("HSV", (0, 255, 255), (255, 0, 0)),
        ("F", 0.2, (51, 51, 51)),
    ],
)
def test_every_mode_is_converted(mode, colour, seen):
    picture = flat(mode, colour)
    assert fit(picture, 6, 3)[:, 0, 0].tolist() == list(seen)
    luma = np.asarray(flat("RGB", seen).convert("L"))
    assert torch.equal(fit(picture, 6, 1), tensor(luma))


@pytest.mark.parametrize(
    ("mode", "kind", "transparent"),
    [("P", "gif", 1), ("P", "png", 1), ("L", "png", 1), ("RGB", "png", (1, 1, 1))],
)
def test_a_colour_marked_transparent_is_white(mode, kind, transparent):
    picture = Image.new(mode, (4, 4), 0 if mode != "RGB" else (0, 0, 0))
    if mode == "P":
        picture.putpalette([0, 0, 0, 200, 0, 0])
    picture.paste(transparent, (0, 0, 2, 4))
    seen = fit(stored(picture, kind, transparency=transparent), 4, 3)
    assert (seen[:, :, :2] == 255).all()
    assert (seen[:, :, 2:] == 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_askew_gives_an_upright_picture(orientation):
    array = noise(8, 8)
    turned = {
        1: array,
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.transpose(1, 0, 2),
        6: np.rot90(array),  # stored turned to the left: it is shown turned to the right
        7: array[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(array, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = stored(Image.fromarray(np.ascontiguousarray(turned)), "png", exif=exif)
    assert torch.equal(fit(picture, 8, 3), tensor(array))


def test_an_animation_shows_its_first_frame():
    frames = [flat("RGB", colour) for colour in ("red", "blue")]
    picture = stored(frames[0], "gif", save_all=True, append_images=frames[1:])
    assert fit(picture, 6, 3)[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("layout", ["n h w", "n h w 1", "n 1 h w", "n h w 3", "n 3 h w"])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_are_understood_in_every_layout(layout, channels):
    colours = 3 if "3" in layout else 1
    pictures = torch.stack([tensor(noise(6, 6, colours)) for _ in range(4)])
    array = {
        "n h w": pictures[:, 0],
        "n h w 1": pictures.permute(0, 2, 3, 1),
        "n 1 h w": pictures,
        "n h w 3": pictures.permute(0, 2, 3, 1),
        "n 3 h w": pictures,
    }[layout].numpy()
    source = ArraySource("arrays", array, np.arange(4, dtype=np.uint8), 6, channels)
    everything, labels = source.all(workers=0)
    assert torch.equal(everything, fit(pictures, 6, channels))
    assert torch.equal(labels, torch.arange(4))
    assert all(torch.equal(source[i][0], everything[i]) and source[i][1] == i for i in range(4))


# Mirroring


def test_half_of_the_images_are_mirrored_and_the_others_are_themselves():
    pictures = torch.randint(0, 256, (4000, 1, 3, 4), dtype=torch.uint8)
    straight = normalised(pictures)
    data = mirrored(straight, 4000, seed=1, number=2)
    kept = (data == straight).flatten(1).all(1)
    turned = (data == straight.flip(3)).flatten(1).all(1)
    assert (kept ^ turned).all()
    assert abs(turned.sum() - 2000) < 5 * 1000**0.5


def test_mirroring_is_a_function_of_the_seed_and_the_number():
    pictures = torch.randint(0, 256, (64, 1, 3, 4), dtype=torch.uint8)
    data = [mirrored(normalised(pictures), 64, seed, number) for seed, number in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert torch.equal(data[0], data[1])
    assert not torch.equal(data[0], data[2])
    assert not torch.equal(data[0], data[3])
    assert not torch.equal(data[2], data[3])


def test_that_mirroring_is_drawn_each_time_an_image_is_read():
    stream = numbered(1, flip=True).load(CPU).stream(0, 1, 0)
    white_on_the_left = [bool(batch["data"][0, 0, 0, 0] == 1) for batch in islice(stream, 40)]
    assert 5 < sum(white_on_the_left) < 35


# In memory and streamed


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [0, 5])
@pytest.mark.parametrize("n", [5, 40])
def test_streamed_batches_are_those_from_memory(n, start, workers):
    memory = numbered(n, flip=True, resident=True).load(CPU)
    streamed = numbered(n, flip=True, resident=False, workers=workers).load(CPU)
    assert isinstance(memory, ResidentImages)
    assert isinstance(streamed, StreamedImages)
    pairs = zip(islice(memory.stream(0, 6, 7), start, start + 9), streamed.stream(start, 6, 7))
    assert sum(same(*pair) for pair in pairs) == 9


def test_a_stream_that_starts_late_goes_on_as_if_it_had_not():
    data = numbered(10, flip=True).load(CPU)
    for late, early in zip(islice(data.stream(6, 4, 0), 5), islice(data.stream(0, 4, 0), 6, 11)):
        assert same(late, early)


@pytest.mark.parametrize("resident", [True, False])
def test_a_label_stays_with_its_image(resident):
    batch = next(numbered(30, resident=resident, workers=0).load(CPU).stream(0, 30, 0))
    values = ((batch["data"][:, 0, 0, 7] + 1) * 127.5).round().long()
    assert torch.equal(values, batch["label"])
    assert torch.equal(values.sort().values, torch.arange(30))


@pytest.mark.parametrize("resident", [True, False])
def test_labels_may_be_attributes(resident):
    items = [(flat("L", i), torch.tensor([i, 1 - i % 2, 5])) for i in range(4)]
    batch = next(Pictures(items=items, resident=resident, workers=0, image_size=6).load(CPU).stream(0, 4, 0))
    assert batch["label"].shape == (4, 3)
    assert batch["label"].dtype == torch.int64


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("resident", [True, False])
def test_the_runs_own_random_numbers_are_not_touched(resident, workers, monkeypatch):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    data = numbered(9, flip=True, resident=resident, workers=workers).load(CPU)
    list(islice(data.stream(0, 4, 0), 3))
    data.real(4)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("resident", [True, False])
def test_a_digest_identifies_images_and_labels(resident):
    digest = numbered(9, resident=resident).load(CPU).digest
    assert numbered(9, resident=resident, image_size=4).load(CPU).digest == digest
    assert numbered(8, resident=resident).load(CPU).digest != digest
    arrays = [np.zeros((3, 4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8), np.ones((3, 4, 4), np.uint8)]
    labels = [[0, 1, 2], [0, 1, 1], [0, 1, 2]]
    assert len({ArraySource("a", *read, 4, 1).digest() for read in zip(arrays, labels)}) == 3


@pytest.mark.parametrize("resident", [True, False])
def test_one_image_is_enough(resident):
    batch = next(numbered(1, resident=resident, workers=0).load(CPU).stream(3, 5, 0))
    assert batch["data"].shape == (5, 1, 8, 8)
    assert batch["label"].tolist() == [0] * 5


def test_no_image_is_too_few():
    with pytest.raises(DataError, match="pictures contains no images"):
        numbered(0).load(CPU)


def test_real_samples_are_a_fixed_choice_never_mirrored():
    memory = numbered(20, flip=True).load(CPU)
    streamed = numbered(20, flip=True, resident=False).load(CPU)
    chosen = memory.real(12)
    assert torch.equal(chosen, memory.real(12))
    assert torch.equal(chosen, streamed.real(12))
    assert (chosen[..., :4] == 1).all()
    assert len(chosen.flatten(1).unique(dim=0)) == 12
    assert len(memory.real(100)) == len(streamed.real(100)) == 20


def test_that_images_are_resident_if_they_fit_in_half_of_free_memory(monkeypatch):
    size = 10 * 1 * 8 * 8
    monkeypatch.setattr(images_module, "free_memory", lambda device: 2 * size)
    assert isinstance(numbered(10).load(CPU), StreamedImages)
    assert isinstance(numbered(10, resident=True).load(CPU), ResidentImages)
    monkeypatch.setattr(images_module, "free_memory", lambda device: 2 * size + 1)
    assert isinstance(numbered(10).load(CPU), ResidentImages)
    assert isinstance(numbered(10, resident=False).load(CPU), StreamedImages)


@contextmanager
def few_open_files(more):
    """Allow a handful of files beyond those that are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (psutil.Process().num_fds() + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_images_are_decoded_by_processes_without_many_open_files(monkeypatch):
    """A tensor from a DataLoader's process keeps a file open: to keep all of them fails beyond a thousand."""
    monkeypatch.setattr(images_module, "CHUNK", 8)
    items = [(flat("L", i % 256, (4, 4)), i) for i in range(1200)]
    with few_open_files(100):
        images, labels = Source("pictures", items, 4, 1).all(workers=2)
    assert torch.equal(labels, torch.arange(1200))
    assert torch.equal(images[:, 0, 0, 0].long(), torch.arange(1200) % 256)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("labels", [[0, 1, 3], [0, -2, 2]])
def test_labels_outside_of_the_classes_are_refused(resident, labels):
    @dataclass(frozen=True, kw_only=True)
    class ThreeClasses(Pictures):
        labels = Classes(("a", "b", "c"))

    items = [(flat("L", 0), label) for label in labels]
    dataset = ThreeClasses(items=items, image_size=6, channels=1, resident=resident, workers=0)
    with pytest.raises(DataError, match=f"pictures has an image of class {max(labels, key=abs)}, and its 3 classes"):
        next(dataset.load(CPU).stream(0, 3, 0))


def test_a_label_of_minus_one_is_an_unknown_class():
    Classes(("a", "b")).check(torch.tensor([-1, 0, 1]), "pictures")


def test_labels_of_another_kind_are_refused():
    with pytest.raises(DataError, match=r"vectors and not classes; set dataset.classes=null"):
        Classes(("a", "b")).check(torch.zeros(3, 2), "pictures")
    with pytest.raises(DataError, match="not zeros and ones of 3 attributes"):
        Attributes(("a", "b", "c")).check(torch.zeros(3, 2), "pictures")


# Processes that decode


class Shades:
    """Pictures of one shade, of which some are broken."""

    def __init__(self, broken=()):
        self.broken = broken

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index in self.broken:
            raise EOFError(f"cut short at {index}")
        return flat("L", index), index


def decoding(broken=(), **options):
    """The batches of eight pictures of one shade, decoded by two processes."""
    return decode(Source("shades", Shades(broken), 4, 1), 2, batch_size=2, **options)


def test_an_error_in_a_process_that_decodes_ends_all_of_them_while_it_is_kept():
    with pytest.raises(DataError, match="image 4 of shades cannot be read as an image") as kept:
        list(decoding(broken=[4]))
    assert multiprocessing.active_children() == []
    assert kept.value.__traceback__ is not None


def test_an_error_while_waiting_for_a_process_that_decodes_ends_it(monkeypatch):
    batches = decoding()
    next(batches)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(images_module.Arrays, "tensors", stop)
    with pytest.raises(KeyboardInterrupt) as kept:
        next(batches)
    assert multiprocessing.active_children() == []
    assert kept.value.__traceback__ is not None


def test_processes_of_an_unfinished_iterator_end_when_python_ends():
    batches = decoding()
    images, labels = next(batches)
    assert len(multiprocessing.active_children()) == 2
    end_workers()
    assert multiprocessing.active_children() == []
    assert (images[:, 0, 0, 0].tolist(), labels.tolist()) == ([0, 1], [0, 1])


def test_decoding_needs_neither_shared_memory_nor_sockets_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 30)))
    signal.alarm(30)  # it would wait for ever otherwise
    items = list(decoding())
    signal.alarm(0)
    assert [labels.tolist() for _, labels in items] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert not any(part.is_shared() for item in items for part in item)


def test_a_killed_process_ends_decoding_with_advice(capsys):
    batches = numbered(8, resident=False, workers=2).load(CPU).stream(0, 2, 0)
    next(batches)

    def kill_and_go_on():
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        list(islice(batches, 100))

    with pytest.raises((WorkerLost, RuntimeError), match=r"DataLoader worker.*(killed|exited)") as caught:
        kill_and_go_on()
    assert report_error(caught.value) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "set dataset.workers=0" in line
    end_workers()
    assert multiprocessing.active_children() == []


def test_a_process_that_cannot_be_started_is_reported_with_advice(monkeypatch):
    def start(self):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    method = multiprocessing.get_context(multiprocessing.get_all_start_methods()[0])
    monkeypatch.setattr(method.Process, "start", start)
    with pytest.raises(WorkerLost, match=r"Resource temporarily unavailable.*dataset.workers=0"):
        next(decoding())


def test_a_process_that_decodes_ends_when_its_parent_was_killed():
    receive, send = os.pipe()
    parent = multiprocessing.Process(target=lambda: (os.setsid(), next(decoding()), os.kill(os.getpid(), 9)))
    parent.start()
    os.close(send)
    parent.join(20)
    signal.alarm(20)
    assert os.read(receive, 1) == b""  # its workers have the other end of the pipe open
    signal.alarm(0)
    os.close(receive)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_on_a_gpu_are_those_on_the_cpu():
    data = [numbered(40, flip=True, resident=False).load(torch.device(name)) for name in ("cpu", "cuda")]
    for left, right in islice(zip(*(stream.stream(0, 6, 7) for stream in data)), 9):
        assert right["data"].is_cuda
        assert same(left, {key: value.cpu() for key, value in right.items()})


def test_a_batch_is_handed_out_after_its_copy_and_with_the_next_on_its_way(monkeypatch):
    log = []

    class Part:
        def __init__(self, number):
            self.number = number

        def to(self, device, non_blocking):
            assert non_blocking
            log.append(f"copy {self.number}")
            return self

        def record_stream(self, stream):
            log.append(f"keep {self.number}")

    class Stream:
        def __init__(self, device):
            pass

        def wait_stream(self, stream):
            log.append("wait")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    batches = prefetch_to_gpu(((Part(n), Part(n)) for n in range(9)), torch.device("cuda"))
    assert [part.number for part in next(batches)] == [0, 0]
    assert log == ["copy 0"] * 2 + ["wait"] + ["keep 0"] * 2 + ["copy 1"] * 2
    log.clear()
    assert [part.number for part in next(batches)] == [1, 1]
    assert log == ["wait"] + ["keep 1"] * 2 + ["copy 2"] * 2


@pytest.mark.parametrize(
    ("signals", "ending"),
    [([signal.SIGINT, signal.SIGINT, signal.SIGTERM], 7), ([signal.SIGTERM] * 2, -signal.SIGTERM)],
)
def test_a_worker_outlives_the_signals_that_stop_a_run_but_not_a_second_sigterm(signals, ending):
    worker = os.fork()
    if worker == 0:
        prepare_worker(0)
        for signum in signals:
            os.kill(os.getpid(), signum)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == ending


@pytest.mark.parametrize("signum", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_to_all_processes_of_a_streaming_run_saves_it(tmp_path, signum):
    for number in range(8):
        Image.fromarray(noise(8, 8)).save(tmp_path / f"{number}.png")
    script = (
        "import os, sys; from itertools import count\n"
        "import gan_runner.system as b; from gan_runner.cli.run import main\n"
        "step, n = b.System.step, count(1)\n"
        "def stepping(self, batches):\n"
        "    report = step(self, batches)\n"
        f"    if next(n) == 3: os.killpg(0, {int(signum)})\n"
        "    return report\n"
        "b.System.step = stepping; main()"
    )
    line = ["dataset=image_folder", "dataset.root=.", "dataset.image_size=8", "dataset.resident=false", "metric=[]"]
    line += ["model.generator.width=4", "model.discriminator.width=4", "trainer.batch_size=4", "objective=null"]
    line += ["trainer.sample_every=0", "hydra.run.dir=run", "logger.mode=disabled"]
    answer = subprocess.run(
        [sys.executable, "-c", script, *line], cwd=tmp_path, capture_output=True, text=True, start_new_session=True
    )
    assert answer.returncode == 128 + signum, answer.stderr
    assert answer.stderr == f"gan-run: stopped by {signum.name} after saving; continue with: gan-run resume=run\n"
    assert (tmp_path / "run" / "checkpoints" / "last.pt").exists()


# Words


@pytest.mark.parametrize("options", [{"image_size": 0}, {"image_size": -4}, {"workers": -1}])
def test_options_out_of_range_are_refused_in_one_line(options):
    with pytest.raises(ValueError, match=f"^dataset.{next(iter(options))} must be [^\n]*$"):
        numbered(3, **options)


def test_shape_and_range_are_known_before_anything_is_read():
    dataset = Pictures(items=None, image_size=24, channels=1)
    assert dataset.shape == (1, 24, 24)
    assert dataset.bounded


def test_a_broken_image_is_named():
    class Broken:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            raise EOFError

    with pytest.raises(DataError, match=r"^image 1 of broken things cannot be read as an image \(EOFError\)"):
        Source("broken things", Broken(), 8, 3)[1]


def test_that_descriptions_name_number_kind_and_device():
    assert numbered(20).load(CPU).describe() == "20 images 1×8×8 of pictures, in cpu memory, 0 MiB"
    streamed = numbered(20, resident=False, workers=2).load(CPU)
    assert streamed.describe() == "20 images 1×8×8 of pictures, streamed by 2 workers"


def test_workers_start_in_a_process_of_joblib():
    pytest.importorskip("joblib.externals.loky")
    start_method = multiprocessing.get_start_method()
    multiprocessing.set_start_method("loky", force=True)  # as joblib does in its processes
    try:
        source = ArraySource("dots", torch.ones(3, 2, 2, dtype=torch.uint8), [0] * 3, 2, 1)
        ((images, _),) = decode(source, workers=1, batch_size=3)
    finally:
        multiprocessing.set_start_method(start_method, force=True)
    assert images.shape == (3, 1, 2, 2)
