"""`gan-sample`: draw from a trained generator, by its checkpoint alone."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor

from gan_runner.build import build_system
from gan_runner.cli.arguments import Parser
from gan_runner.cli.edit import asks_for_codes, edited
from gan_runner.config.resolve import register, resolve
from gan_runner.config.suggestions import did_you_mean
from gan_runner.datasets.images import fit, normalised
from gan_runner.errors import BadInput, ConfigError
from gan_runner.models.latents import interpolation
from gan_runner.plots.grids import draw_traversal, image_grid, save_image, to_uint8
from gan_runner.plots.samples import draw
from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.runs.directory import RunDirectory
from gan_runner.sampling.rejection import effective_sample_size, importance_weights, rejection_samples
from gan_runner.sampling.traversals import traverse
from gan_runner.system import System
from gan_runner.tools.files import write_atomically
from gan_runner.tools.outlets import outlets


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = Parser(prog="gan-sample", description="Draw samples from a trained run.")
    arguments.add_argument("run", type=Path, help="a run's directory, or one of its checkpoints")
    arguments.add_argument("--n", type=positive, help=f"how many samples (default {SAMPLES})")
    arguments.add_argument("--seed", type=int, default=0, help="of the latents (default 0)")
    arguments.add_argument("--device", default="auto", help="auto, cpu, cuda, …")
    arguments.add_argument("--trust", nargs="+", default=[], metavar="PACKAGE", help="packages whose code the run used")
    arguments.add_argument("--picture", type=png, metavar="PNG", help="where the picture goes (the run's samples/)")
    arguments.add_argument("--reject", action="store_true", help="keep samples by the density ratio of the critic")
    arguments.add_argument("--gamma", type=float, help="with --reject: more accepts fewer (default 0)")
    arguments.add_argument("--weigh", action="store_true", help="with --out: importance weights too, in weights.csv")
    arguments.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="LABEL",
        help="of a conditional run: a class by name or number, or attributes with commas between them; "
        "with --interpolate two lead from one to the other",
    )
    arguments.add_argument(
        "--text", action="append", default=[], metavar="SENTENCE", help="of a text-to-image run: likewise"
    )
    arguments.add_argument(
        "--style",
        type=Path,
        metavar="IMAGE",
        help="of a run with regularizer=[style_encoder]: take the latent of every sample from this image",
    )
    form = arguments.add_mutually_exclusive_group()
    form.add_argument("--grid", action="store_true", help="one picture of all (the default)")
    form.add_argument("--out", type=Path, metavar="DIR", help="one file a sample: PNG images, or samples.csv of points")
    form.add_argument("--interpolate", action="store_true", help="rows that lead from one latent to another")
    form.add_argument(
        "--reconstruct",
        nargs="+",
        type=Path,
        metavar="IMAGE",
        help="of a run with an encoder: what comes of images",
    )
    form.add_argument(
        "--between", nargs=2, type=Path, metavar="IMAGE", help="of a run with an encoder: from one image to another"
    )
    form.add_argument(
        "--attribute",
        nargs="+",
        metavar=("NAME", "IMAGE"),
        help="of a run with an encoder and labels: images, or else samples, with more and less of a class or attribute",
    )
    arguments.add_argument(
        "--strength",
        nargs="+",
        type=finite,
        metavar="S",
        help="with --attribute: how many times its vector is added (default -2 -1 0 1 2)",
    )
    form.add_argument(
        "--traverse", nargs="?", const=ALL, metavar="CODE", help="all values of a code, or of each, a latent a row"
    )
    return arguments


SAMPLES = 64
"""So many are drawn if nothing is said."""


ALL = ""
"""What `--traverse` without a name means: all codes."""


def finite(text: str) -> float:
    """A number by which a vector can be multiplied."""
    number = float(text)
    if not abs(number) <= MOST:
        raise argparse.ArgumentTypeError(f"must lie between -{MOST:g} and {MOST:g}")
    return number


MOST = 1e6
"""Larger strengths are mistaken ones."""


def png(text: str) -> Path:
    """A file of the kind that is written."""
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{path} must end in .png, as what is written is one")
    return path


def positive(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


@outlets()
def main(arguments: Sequence[str] | None = None) -> None:
    """The command `gan-sample`."""
    register()
    options = parser().parse_args(arguments)
    try:
        print(*run(options), sep="\n")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"gan-sample: {where}{error.strerror or error}; choose where by --picture or --out", file=sys.stderr)
        sys.exit(2)
    except BadInput as error:
        print(f"gan-sample: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def run(options: argparse.Namespace) -> list[Path]:
    """Load, draw, write; returns where to."""
    checkpoint = checkpoint_of(options.run)
    system = load_system(checkpoint, options.device, options.trust)
    folder = checkpoint.parent.parent / "samples" if checkpoint.parent.name == "checkpoints" else checkpoint.parent
    if asks_for_codes(options):
        words, pixels = edited(system, options, checkpoint)
        path = options.picture or folder / f"{words[0]}{file_name(words[1:])}.png"
        save_image(path, pixels)
        return [path]
    told = [*options.label, *options.text]
    check_told(system, options)
    if options.out is not None and options.out.suffix.lower() in (".png", ".jpg", ".jpeg"):
        raise ConfigError("--out is a folder for a file a sample; --picture FILE is where one picture of all goes")
    if options.gamma is not None and not options.reject:
        raise ConfigError("--gamma is how strict --reject is; add --reject")
    weighed = options.reject or options.weigh
    if options.style is not None and (options.interpolate or options.traverse is not None or weighed):
        raise ConfigError("--style chooses the latents; leave out --interpolate, --traverse, --reject and --weigh")
    if options.interpolate:
        path = options.picture or folder / f"interpolation{file_name(told)}_seed{options.seed}.png"
        draw_interpolation(system, options, told, path)
        return [path]
    if options.traverse is not None:
        return draw_traversals(system, options, folder)
    n = options.n or SAMPLES
    samples, rows = draw_samples(system, options, told, n)
    if options.out is not None:
        write_separately(options.out, samples)
        if options.weigh:
            assert rows is not None  # nothing was rejected
            write_weights(options.out, importance_weights(system, samples, rows))
        return [options.out]
    style = "" if options.style is None else f"_style-{options.style.stem}"
    name = f"grid{'_rejection' * options.reject}{style}{file_name(told)}_seed{options.seed}_n{len(samples)}.png"
    path = options.picture or folder / name
    captions = told or (said_of(system, rows) if samples.dim() == 2 else [])
    draw(path, samples, system.dataset if hasattr(system.dataset, "log_prob") else None, captions=captions)
    return [path]


def check_told(system: System, options: argparse.Namespace) -> None:
    """Refuse labels or sentences where samples are told something else, or nothing.

    Raises:
        ConfigError: naming what they are made from.
    """
    for option in ("label", "text"):
        if not getattr(options, option):
            continue
        condition: Any = system.networks.get("condition")
        if condition is None:
            codes = " and codes, which --traverse chooses" if getattr(system.game, "codes", ()) else " alone"
            raise ConfigError(f"this run's samples are made from latents{codes}; leave out --{option}")
        if condition.told_by != option:
            raise ConfigError(f"this run's samples are told what to show by --{condition.told_by}, not by --{option}")


def draw_traversals(system: System, options: argparse.Namespace, folder: Path) -> list[Path]:
    """A picture of every code, or of one: ten latents, of a continuous code ten values. Returns where they are.

    Raises:
        ConfigError: there is no such code, or options do not go together.
    """
    code = options.traverse or None
    names = list(getattr(system.game, "codes", ()))
    if not names:
        raise ConfigError("--traverse shows codes, and this run's game has none; leave it out")
    if code is not None and code not in names:
        raise ConfigError(f"--traverse {code}: there is no such code{did_you_mean(code, names)}")
    if options.reject or options.weigh or options.label or options.text:
        raise ConfigError("--traverse shows chosen codes; leave out --reject, --weigh, --label and --text")
    if options.n is not None:
        raise ConfigError("--traverse shows ten latents under all values of a code; leave out --n")
    if options.picture is not None and code is None and len(names) > 1:
        raise ConfigError(f"--picture is one file, and there are {len(names)} codes; name one: --traverse {names[0]}")
    paths = []
    for name, samples, values in traverse(system, code, rows=10, columns=10, seed=options.seed):
        paths.append(options.picture or folder / f"traversal_{name}_seed{options.seed}.png")
        draw_traversal(paths[-1], samples, values)
    return paths


def file_name(told: Sequence[str]) -> str:
    """What samples were told, as part of a file's name."""
    return "".join("_" + re.sub(r"\W+", "-", text).strip("-")[:60] for text in told)


def draw_interpolation(system: System, options: argparse.Namespace, told: Sequence[str], path: Path) -> None:
    """Rows that lead from one latent to another; where two things are told, from one of these to the other.

    Raises:
        ConfigError: options that do not go together.
    """
    if options.reject or options.weigh:
        raise ConfigError("--interpolate shows chosen latents; leave out --reject and --weigh")
    if len(system.dataset.shape) != 3:
        raise ConfigError("--interpolate shows images, and this run generates points; leave it out")
    steps = 8
    rows = -(-(options.n or SAMPLES) // steps)
    dim = system.game.latent.dim
    first, second = system.noise(2 * rows, options.seed).chunk(2)
    first = tell(system, first, told[:1])
    second = torch.cat([second[:, :dim], first[:, dim:]], 1) if len(told) < 2 else tell(system, first, told[1:])
    conditions = torch.linspace(0, 1, steps, device=first.device).view(1, -1, 1)
    between = first[:, dim:].unsqueeze(1).lerp(second[:, dim:].unsqueeze(1), conditions).flatten(0, 1)
    latents = interpolation(torch.cat([first[:, :dim], second[:, :dim]]), steps)
    images = system.sample(torch.cat([latents, between], 1))
    save_image(path, image_grid(images, steps))


def tell(system: System, noise: Tensor, told: Sequence[str]) -> Tensor:
    """Rows of noise (n, …) whose condition is what is told, if anything is.

    Raises:
        ConfigError: more than one thing is told, or there is no such condition.
    """
    if not told:
        return noise
    if len(told) > 1:
        raise ConfigError("give one --label or --text, or two with --interpolate")
    condition: Any = system.networks["condition"]
    try:
        wanted = condition.parse(told[0])
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if passed_over := condition.left_out(told[0]):
        print(f"gan-sample: of --{condition.told_by} the encoder leaves out {passed_over}", file=sys.stderr)
    return torch.cat([noise[:, : system.game.latent.dim], wanted.to(noise).expand(len(noise), -1)], 1)


def said_of(system: System, rows: Tensor | None) -> list[str]:
    """What the label in each of the rows (n, …) that samples were made from says; empty where there is none."""
    condition: Any = system.networks.get("condition")
    if condition is None or rows is None:
        return []
    return [condition.labels.say(vector) for vector in rows[:, system.game.latent.dim :].cpu()]


def styled(system: System, noise: Tensor, image: Path | None) -> Tensor:
    """Rows of noise (n, …) whose latents are all what made this image look as it does, if there is one.

    Raises:
        ConfigError: the run has not learnt to tell.
        OSError: there is no such image.
    """
    if image is None:
        return noise
    if "style" not in system.networks:
        raise ConfigError(
            "--style needs a run that learns to invert its generator; train with regularizer=[style_encoder]"
        )
    channels, side, _ = system.dataset.shape
    with Image.open(image) as file:
        pixels = normalised(fit(file, side, channels)).unsqueeze(0)
    latent = system.looked_at(lambda networks, x: networks["style"](x), pixels)
    return torch.cat([latent.expand(len(noise), -1), noise[:, latent.shape[1] :]], 1)


def draw_samples(
    system: System, options: argparse.Namespace, told: Sequence[str], n: int
) -> tuple[Tensor, Tensor | None]:
    """Samples (n, *shape), and rows (n, …) that they were made from; by rejection if that is asked for, without rows.

    Where a style leaves nothing to chance, all would be the same, and one is made.

    Raises:
        ConfigError: options that do not go together, or a loss whose critic knows no ratio.
    """
    if options.weigh and (options.out is None or options.reject):
        raise ConfigError("--weigh writes weights beside plain samples: give --out DIR, and leave out --reject")
    if told and (options.reject or options.weigh):
        raise ConfigError("--reject and --weigh are for samples as they come; leave out --label and --text")
    if not options.reject:
        rows = styled(system, tell(system, system.noise(n, options.seed), told), options.style)
        if options.style is not None and (rows == rows[0]).all():
            rows = rows[:1]
        return system.sample(rows), rows
    samples, share = rejection_samples(system, n, options.seed, options.gamma or 0.0)
    print(f"accepted {share:.1%} of the samples")
    return samples, None


def write_weights(folder: Path, weights: Tensor) -> None:
    """The weights (n,), a line each, in the order of the samples."""
    write_atomically(folder / "weights.csv", lambda file: np.savetxt(file, weights.cpu().numpy()))
    print(f"effective sample size {effective_sample_size(weights):.0f} of {len(weights)}")


def checkpoint_of(path: Path) -> Path:
    """A checkpoint as it is; of a run's directory the last one."""
    return RunDirectory(path).last if path.is_dir() else path


def load_system(checkpoint: Path, device: str, trusted: Sequence[str]) -> System:
    """What plays, as a checkpoint left it. Its configuration builds only what is on the allow-list.

    Raises:
        CheckpointError: it cannot be read, or does not fit the networks.
        ConfigError: it names code outside the allow-list.
    """
    state = load_checkpoint(checkpoint)
    config = OmegaConf.create(state["config"])
    assert isinstance(config, DictConfig)
    config.trusted = list(trusted)
    config.trainer.device = device
    system = build_system(resolve(config))
    system.load_state_dict(state["system"])
    return system


def write_separately(folder: Path, samples: Tensor) -> None:
    """Images as PNG files, points as the rows of a CSV file."""
    if samples.dim() == 4:
        for number, image in enumerate(to_uint8(samples)):
            pixels = image.permute(1, 2, 0).squeeze(2) if image.shape[0] == 1 else image.permute(1, 2, 0)
            save_image(folder / f"{number:05d}.png", pixels.numpy())
    else:
        write_atomically(folder / "samples.csv", lambda file: np.savetxt(file, samples.cpu().numpy(), delimiter=","))


if __name__ == "__main__":
    main()
