"""`gan-sample`: draw from a trained generator, by its checkpoint alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from gan_runner.cli.arguments import DEFAULT_SAMPLES, Parser, add_run, at_least_one, command, factor, png, seed

ALL_CODES = ""
"""The value of `--traverse` without a name."""


def parser() -> Parser:
    """The command line."""
    arguments = Parser(prog="gan-sample", description="Draw samples from a trained run.")
    add_run(arguments)
    arguments.add_argument("--n", type=at_least_one, help=f"how many samples (default {DEFAULT_SAMPLES})")
    arguments.add_argument("--seed", type=seed, default=0, help="of the latents (default 0)")
    arguments.add_argument("--picture", type=png, metavar="PNG", help="where the picture goes (the run's samples/)")
    arguments.add_argument("--reject", action="store_true", help="keep samples by the density ratio of the critic")
    arguments.add_argument("--gamma", type=float, help="with --reject: more accepts fewer (default 0)")
    arguments.add_argument("--weigh", action="store_true", help="with --out: importance weights too, in weights.csv")
    arguments.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="LABEL",
        help="of a conditional run: a class by name, or by number unless names are numbers, or attributes with commas; "
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
    form.add_argument(
        "--out",
        type=Path,
        metavar="DIR|NPZ",
        help="one file a sample: PNG images, or samples.csv of points; FILE.npz: one array of all",
    )
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
        type=factor,
        metavar="S",
        help="with --attribute: how many times its vector is added (default -2 -1 0 1 2)",
    )
    form.add_argument(
        "--traverse",
        nargs="?",
        const=ALL_CODES,
        metavar="CODE",
        help="all values of a code, or of each, a latent a row",
    )
    return arguments


@command(parser, doing="loading the run and drawing samples", file_advice="choose where by --picture or --out")
def main(options: argparse.Namespace) -> None:
    """The command `gan-sample`."""
    from gan_runner.cli.draw import run

    print(*run(options), sep="\n")


if __name__ == "__main__":
    main()
