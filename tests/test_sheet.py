"""The method sheet, held against sheets written by hand from the papers."""

import importlib
import inspect
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import pytest
from torch import nn

import gan_runner
from gan_runner.build import build_system
from gan_runner.config.paths import CONF
from gan_runner.datasets.toy import Ring
from gan_runner.losses.bernoulli import NonSaturating
from gan_runner.losses.decoupled import Decoupled
from gan_runner.losses.f_divergences import KL, ReverseKL
from gan_runner.losses.hinge import Hinge
from gan_runner.losses.least_squares import LeastSquares
from gan_runner.models.layers.adaptive_augmentation import AdaptiveAugmentation
from gan_runner.models.summary import network_lines
from gan_runner.sheet import Term, sheet_of
from gan_runner.terms.augmentation_control import AugmentationControl
from gan_runner.terms.consistency import consistency, fake_consistency
from gan_runner.tools.formulas import Score, Symbols, fill, formula_of, number, weighted, write

SHEETS = {
    # Goodfellow et al. 2014, Algorithm 1 and the last paragraph of Section 3, D = σ(score).
    "gan": (
        ("loss=non_saturating",),
        """
        discriminator ×1 | −E[log σ(D(x))] − E[log(1 − σ(D(G(z))))] | Adam 5e-4 (.5, .999) | non_saturating
        generator ×1     | −E[log σ(D(G(z)))]                       | Adam 5e-4 (.5, .999) | non_saturating
        """,
    ),
    # Goodfellow et al. 2014, Eq. 1.
    "minimax": (
        ("loss=minimax", "play=simultaneous"),
        """
        discriminator ×1 | −E[log σ(D(x))] − E[log(1 − σ(D(G(z))))] | Adam 5e-4 (.5, .999) | minimax
        generator ×1     | E[log(1 − σ(D(G(z))))]                   | Adam 5e-4 (.5, .999) | minimax
        """,
    ),
    # Salimans et al. 2016, Section 3.4: α = 0.9 for data.
    "label_smoothing": (
        ("loss=non_saturating", "regularizer=[label_smoothing]"),
        """
        discriminator ×1 | −E[0.9 log σ(D(x)) + 0.1 log(1 − σ(D(x)))] − E[log(1 − σ(D(G(z))))] \
            | Adam 5e-4 (.5, .999) | non_saturating
        generator ×1     | −E[log σ(D(G(z)))]                       | Adam 5e-4 (.5, .999) | non_saturating
        """,
    ),
    # Arjovsky et al. 2017, Algorithm 1: α = 5e-5, c = 0.01, n_critic = 5.
    "wgan": (
        ("loss=wgan",),
        """
        discriminator ×5 | E[D(G(z))] − E[D(x)]    | RMSprop 5e-5 | wgan
            after each update | θ ← clip(θ, −0.01, 0.01) | weight_clipping
        generator ×1     | −E[D(G(z))]             | RMSprop 5e-5 | wgan
        """,
    ),
    # Gulrajani et al. 2017, Eq. 3 and Algorithm 1: λ = 10, n_critic = 5, α = 1e-4, β₁ = 0.5 and β₂ = 0.9 (their code).
    "wgan_gp": (
        ("loss=wgan_gp", "regularizer.gradient_penalty.weight=10", "optimizer.lr=1e-4"),
        """
        discriminator ×5 | E[D(G(z))] − E[D(x)] + 10 · E[(‖∇D(x̂)‖ − 1)²] \
            | Adam 1e-4 (.5, .9) | wgan_gp, gradient_penalty
        generator ×1     | −E[D(G(z))]                                   | Adam 1e-4 (.5, .9) | wgan_gp
        where x̂ = x + u (G(z) − x), u ~ U(0, 1)
        """,
    ),
    # Mao et al. 2017, Eq. 9: a = 0, b = c = 1.
    "lsgan": (
        ("loss=lsgan",),
        """
        discriminator ×1 | ½ E[(D(x) − 1)²] + ½ E[D(G(z))²] | Adam 5e-4 (.5, .999) | lsgan
        generator ×1     | ½ E[(D(G(z)) − 1)²]              | Adam 5e-4 (.5, .999) | lsgan
        """,
    ),
    # Miyato et al. 2018, Eqs. 16 and 17, and Eq. 8.
    "hinge": (
        ("loss=hinge", "regularizer=[spectral_norm,ema]"),
        """
        discriminator ×1 | E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(z)))] | Adam 5e-4 (.5, .999) | hinge
        generator ×1     | −E[D(G(z))]                                  | Adam 5e-4 (.5, .999) | hinge
            after each update | θ̄ ← a θ̄ + (1 − a) θ | ema
        where a = min(0.999, (1 + t)/(10 + t)) after t updates of generator
        in discriminator: W / σ₁(W), σ₁ the largest singular value
        """,
    ),
    # Berthelot et al. 2017, Section 3.4: γ = 0.5, λ_k = 0.001, k_0 = 0.
    "began": (
        ("loss=began", "model.latent.dim=1"),
        """
        discriminator ×1 | E[L(x)] − k E[L(G(z))] | Adam 5e-4 (.5, .999) | began
        generator ×1     | E[L(G(z))]             | Adam 5e-4 (.5, .999) | began
        where k ← clip(k + 0.001 (0.5 E[L(x)] − E[L(G(z))]), 0, 1) after each update, from 0
        where L(x) = −D(x) = mean |x − Dec(Enc(x))|
        """,
    ),
    # Zhao et al. 2017, Eqs. 1, 2 and 6; m = 0.2 here.
    "ebgan": (
        ("loss=ebgan", "model.latent.dim=2", "regularizer=[pulling_away]"),
        """
        discriminator ×1 | E[L(x)] + E[max(0, 0.2 − L(G(z)))]    | Adam 5e-4 (.5, .999) | ebgan
        generator ×1     | E[L(G(z))] + 0.1 · E[cos²(S(G(z)), S(G(z′)))] | Adam 5e-4 (.5, .999) | ebgan, pulling_away
        where L(x) = −D(x) = mean (x − Dec(Enc(x)))²
        where S(G(z)) = f(G(z)), the features of the critic; z ≠ z′ of one batch
        """,
    ),
    # Jolicoeur-Martineau 2019, RaSGAN (Section 4.3, with its Eqs. 8 and 9).
    "relativistic_average": (
        ("loss=relativistic_average",),
        """
        discriminator ×1 | −E[log σ(D(x) − E[D(G(z))])] − E[log(1 − σ(D(G(z)) − E[D(x)]))] \
            | Adam 5e-4 (.5, .999) | relativistic_average
        generator ×1     | −E[log σ(D(G(z)) − E[D(x)])] − E[log(1 − σ(D(x) − E[D(G(z))]))] \
            | Adam 5e-4 (.5, .999) | relativistic_average
        """,
    ),
    # Nowozin et al. 2016, Tables 2 and 6: T = v, f*(t) = exp(t − 1); the generator descends the same bound.
    "fgan_kl": (
        ("loss=fgan_kl",),
        """
        discriminator ×1 | E[exp(D(G(z)) − 1)] − E[D(x)] | Adam 5e-4 (.5, .999) | fgan_kl
        generator ×1     | −E[exp(D(G(z)) − 1)]          | Adam 5e-4 (.5, .999) | fgan_kl
        """,
    ),
    # Poole et al. 2016, Section 3; the aim is fgan_kl, whose score is 1 + log r; the critic that of Goodfellow et al.
    "decoupled": (
        ("loss=decoupled",),
        """
        discriminator ×1 | −E[log σ(D(x))] − E[log(1 − σ(D(G(z))))] | Adam 5e-4 (.5, .999) | decoupled
        generator ×1     | −E[exp(T(G(z)) − 1)]                     | Adam 5e-4 (.5, .999) | decoupled
        where T(G(z)) = 1 + log r, log r = D(G(z)), at most 10; below −10 continued with slope 1 in the score
        """,
    ),
    # Huszár 2015, Eq. 8, as the aim; its generator minimises −(1 − π) E[log m/q].
    "decoupled_jsd_pi": (
        ("loss=decoupled", "loss@loss.aim=fgan_jsd_pi"),
        """
        discriminator ×1 | −E[log σ(D(x))] − E[log(1 − σ(D(G(z))))] | Adam 5e-4 (.5, .999) | decoupled
        generator ×1     | −E[0.5 log m(T(G(z)))]                   | Adam 5e-4 (.5, .999) | decoupled
        where T(G(z)) = log r, log r = D(G(z)), at most 10; below −10 continued with slope 1 in the score
        where m(s) = 0.5 + 0.5 exp s
        """,
    ),
    # Nowozin et al. 2016, Table 5: T = π log(r / m), f*(T) = (1 − π) log m, r = exp s; E[f(r)] for the generator.
    "fgan_jsd_pi": (
        ("loss=fgan_jsd_pi", "loss.pi=0.25", "loss.objective=plug_in"),
        """
        discriminator ×1 | E[0.75 log m(D(G(z)))] − E[0.25 (D(x) − log m(D(x)))] \
            | Adam 5e-4 (.5, .999) | fgan_jsd_pi
        generator ×1     | E[0.25 r log r − m(log r) log m(log r)] | Adam 5e-4 (.5, .999) | fgan_jsd_pi
        where m(s) = 0.75 + 0.25 exp s
        where log r = D(G(z))
        """,
    ),
    # The α-divergence of f(u) = (u^α − 1 − α (u − 1)) / (α (α − 1)) at α = −1.
    "fgan_alpha": (
        ("loss=fgan_alpha", "loss.alpha=-1"),
        """
        discriminator ×1 | E[(exp((−1) D(G(z))) − 1) / (−1)] − E[(exp((−2) D(x)) − 1) / (−2)] \
            | Adam 5e-4 (.5, .999) | fgan_alpha
        generator ×1     | −E[(exp((−1) D(G(z))) − 1) / (−1)] | Adam 5e-4 (.5, .999) | fgan_alpha
        """,
    ),
    # Gulrajani et al. 2017, Eq. 3, and Kodali et al. 2017, Section 2.3, at once: each has points of its own.
    "two_penalties": (
        (
            "loss=hinge",
            "regularizer=[gradient_penalty,dragan]",
            "regularizer.gradient_penalty.weight=10",
            "regularizer.dragan.weight=10",
        ),
        """
        discriminator ×1 \
            | E[max(0, 1 − D(x))] + E[max(0, 1 + D(G(z)))] + 10 · E[(‖∇D(x̂)‖ − 1)²] + 10 · E[(‖∇D(x̃)‖ − 1)²] \
            | Adam 5e-4 (.5, .999) | hinge, gradient_penalty, dragan
        generator ×1     | −E[D(G(z))] | Adam 5e-4 (.5, .999) | hinge
        where x̂ = x + u (G(z) − x), u ~ U(0, 1)
        where x̃ = x + 0.5 u v std(x), u ~ U(0, 1), v ~ U(0, 1) in each element
        """,
    ),
    # Chen et al. 2016, Eqs. 5 and 6, λ = 1.
    "infogan": (
        ("game=infogan", "model.latent.dim=62"),
        """
        discriminator ×1 | −E[log σ(D(x))] − E[log(1 − σ(D(G(z, c))))] − L_I \
            | Adam 5e-4 (.5, .999) | non_saturating, infogan
        generator ×1     | −E[log σ(D(G(z, c)))] − L_I \
            | Adam 5e-4 (.5, .999) | non_saturating, infogan
        where L_I = E[log Q(c|G(z, c))] + H(c) ≤ I(c; G(z, c))
        where c = (c1 ~ Cat(10), c2 ~ U(−1, 1), c3 ~ U(−1, 1))
        """,
    ),
    # Odena et al. 2017, Eqs. 2 and 3: D maximises L_S + L_C, G maximises L_C − L_S (here non-saturating).
    "ac_gan": (
        ("game=conditional", "method=ac_gan"),
        """
        discriminator ×1 | −E[log σ(D(x))] − E[log(1 − σ(D(G(z, y))))] − E[log P(y|x)] − E[log P(y|G(z, y))] \
            | Adam 5e-4 (.5, .999) | non_saturating, ac_gan
        generator ×1     | −E[log σ(D(G(z, y)))] − E[log P(y|G(z, y))] | Adam 5e-4 (.5, .999) | non_saturating, ac_gan
        """,
    ),
    # Mirza & Osindero 2014, Eq. 2.
    "conditional": (
        ("game=conditional", "loss=minimax"),
        """
        discriminator ×1 | −E[log σ(D(x, y))] − E[log(1 − σ(D(G(z, y), y)))] | Adam 5e-4 (.5, .999) | minimax
        generator ×1     | E[log(1 − σ(D(G(z, y), y)))]                      | Adam 5e-4 (.5, .999) | minimax
        where y: the label of x, given to the fake too
        in discriminator: ConcatHead: D(x, y) = w · h(f(x), e(y)), h and e hidden layers
        """,
    ),
    # Salimans et al. 2016, Sections 3.1 and 5; half the unsupervised loss and averages of 1e-4, as in their code.
    "semi_supervised": (
        ("game=semi_supervised", "game.labelled.count=80", "loss=feature_matching"),
        """
        discriminator ×1 | 0.5 · (−E[log σ(D(x))] − E[log(1 − σ(D(G(z))))]) − E[log P(yₗ|xₗ)] \
            | Adam 5e-4 (.5, .999) | feature_matching, semi_supervised
            after each update | θ̄ ← a θ̄ + (1 − a) θ | semi_supervised
        generator ×1     | ‖E[f(x)] − E[f(G(z))]‖² / dim f | Adam 5e-4 (.5, .999) | feature_matching
        where xₗ, yₗ: data whose labels are known
        where a = min(0.9999, (1 + t)/(10 + t)) after t updates of discriminator
        in discriminator: LogSumExpHead: D(x) = log Σ exp l(x), P(y|x) = softmax l(x), of 8 classes
        """,
    ),
    # Dumoulin et al. 2017, Eq. 1 and Algorithm 1, whose generator descends the same with the labels exchanged.
    "ali": (
        ("game=ali",),
        """
        discriminator ×1 | −E[log σ(D(x, E(x)))] − E[log(1 − σ(D(G(z), z)))] | Adam 5e-4 (.5, .999) | non_saturating
        generator ×1     | −E[log σ(D(G(z), z))] − E[log(1 − σ(D(x, E(x))))] | Adam 5e-4 (.5, .999) | non_saturating
        in pairs: ConcatHead: D(x, z) = w · h(f(x), e(z)), h and e hidden layers
        where E(x) = μ(x) + σ(x) ε, ε ~ N(0, I)
        """,
    ),
    # Larsen et al. 2016, Eqs. 5 to 9 and Algorithm 1: γ weighs the likelihood of the generator.
    "vae_gan": (
        ("game=vae_gan",),
        """
        discriminator ×1 | −E[log σ(D(x))] − E[log(1 − σ(D(G(z))))] − E[log σ(D(x))] − E[log(1 − σ(D(G(E(x)))))] \
            | Adam 5e-4 (.5, .999) | non_saturating, synthetic, synthetic_reconstruction
        encoder ×1       | E[½ ‖f(x) − f(G(E(x)))‖²] + E[KL(q(z|x) ‖ N(0, I))] \
            | Adam 5e-4 (.5, .999) | learned, analytic
        generator ×1     | −E[log σ(D(G(z)))] − E[log σ(D(G(E(x))))] + 0.001 · E[½ ‖f(x) − f(G(E(x)))‖²] \
            | Adam 5e-4 (.5, .999) | non_saturating, synthetic, synthetic_reconstruction, learned
        where E(x) = μ(x) + σ(x) ε, ε ~ N(0, I)
        """,
    ),
    # Metz et al. 2017, Eqs. 5 to 7, with five steps.
    "unrolled": (
        ("loss=minimax", "regularizer=[unrolled]"),
        """
        discriminator ×1 | −E[log σ(D(x))] − E[log(1 − σ(D(G(z))))] | Adam 5e-4 (.5, .999) | minimax
        generator ×1     | E[log(1 − σ(D₅(G(z))))]                  | Adam 5e-4 (.5, .999) | minimax, unrolled
        where D₅: D after 5 simulated updates, Adam 5e-4 (.5, .999)
        """,
    ),
    # Mescheder et al. 2018, Eq. 9, its γ falling; the generator waits.
    "r1": (
        (
            "regularizer=[r1]",
            "players.generator.updates={0: 0, 500: 1}",
            "++players.discriminator.weights.r1={_target_: gan_runner.optimizers.schedules.ramp, _partial_: true, "
            "start: 10, end: 0, steps: 3000}",
        ),
        """
        discriminator ×1 | −E[log σ(D(x))] − E[log(1 − σ(D(G(z))))] + (10 → 0 over 3,000 steps) · ½ E[‖∇D(x)‖²] \
            | Adam 5e-4 (.5, .999) | non_saturating, r1
        generator ×0, ×1 from step 500 | −E[log σ(D(G(z)))] | Adam 5e-4 (.5, .999) | non_saturating
        """,
    ),
    # Li et al. 2015, Eq. 3; the root as in their code.
    "mmd": (
        ("loss=mmd",),
        """
        generator ×1 | √(E[k(x, x′)] − 2 E[k(x, G(z))] + E[k(G(z), G(z′))]) | Adam 5e-4 (.5, .999) | mmd
        where k(a, b) = Σ exp(−‖a − b‖² / 2σ²), σ = 0.25, 0.5, 1, 2, 4, in units of the median distance of data
        """,
    ),
    # Kingma & Welling 2014, Eq. 7, with a Laplace observation of scale 0.1.
    "vae": (
        ("game=vae",),
        """
        encoder ×1   | E[‖x − G(E(x))‖₁ / 0.1 + dim x · log 0.2] + E[KL(q(z|x) ‖ N(0, I))] \
            | Adam 5e-4 (.5, .999) | observer, analytic
        generator ×1 | E[‖x − G(E(x))‖₁ / 0.1 + dim x · log 0.2] | Adam 5e-4 (.5, .999) | observer
        where E(x) = μ(x) + σ(x) ε, ε ~ N(0, I)
        """,
    ),
}


def rows_of(text):
    """A hand-written sheet: what each player descends, by what, from which options; constraints; definitions."""
    lines = [line.strip() for line in text.strip().splitlines()]
    players = [[re.sub(" +", " ", cells[0]), *cells[1:]] for cells in (split(line) for line in lines if "| " in line)]
    return players, [line for line in lines if line.startswith(("where ", "in "))]


def split(line):
    """The cells of a line; a conditional probability has a bar without spaces."""
    return [cell.strip() for cell in re.split(r" +[|] ", line)]


@pytest.fixture
def sheet(hydra_config, resolved_config):
    """The sheet of small networks for points, from overrides."""

    def made(*overrides):
        data = () if any(override.startswith("dataset=") for override in overrides) else ("dataset=ring8",)
        options = ("model=mlp", "model.generator.width=8", *data, *overrides)
        config = resolved_config(*options)
        chosen = [part for override in overrides for part in re.findall(r"\w+", override.partition("=")[2])]
        return sheet_of(config, build_system(config), " ".join(chosen))

    return made


@pytest.mark.parametrize("name", SHEETS)
def test_that_the_sheet_of_a_method_is_the_one_written_by_hand(name, sheet):
    overrides, text = SHEETS[name]
    written = sheet(*overrides)
    players = []
    for each in written.objectives:
        players.append([f"{each.player} {each.updates}", each.sum, each.optimizer, ", ".join(each.origins)])
        players += [["after each update", text, ", ".join(options)] for text, options in each.constraints]
    expected, definitions = rows_of(text)
    assert players == expected
    found = [f"where {line}" for line in written.sections["where"]] + written.sections["networks"]
    assert [line for line in definitions if line not in found] == [], found


SCORES = {"real_scores": Score("D", "x"), "fake_scores": Score("D", "G(z)")}


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (NonSaturating(), "E[sign D(x)]"),
        (Hinge(), "E[sign D(x)]"),
        (KL(), "E[sign(D(x) − 1)]"),
        (LeastSquares(), "E[sign log(D(x) / (1 − D(x)))]"),
        (Decoupled(LeastSquares(), KL()), "E[sign log(D(x) / (1 − D(x)))]"),
    ],
)
def test_that_adaptive_augmentation_takes_the_sign_of_the_log_ratio(loss, text):
    critic = nn.ModuleDict({"ada": AdaptiveAugmentation((1, 8, 8))})
    symbols = Symbols(**SCORES)
    assert write(AugmentationControl({"discriminator": critic}, loss), symbols) == text
    assert [*symbols.definitions] == [f"p rises where {text} > 0.6, and falls otherwise"]


@pytest.mark.parametrize(("flip", "rest"), [(False, ""), (True, ", perhaps mirrored")])
def test_that_consistency_says_whether_images_are_mirrored(flip, rest):
    symbols = Symbols(**SCORES)
    assert write(partial(consistency, shift=0.1, flip=flip), symbols) == "E[(D(x) − D(T(x)))²]"
    assert write(partial(fake_consistency, shift=0.1, flip=flip), symbols) == "E[(D(G(z)) − D(T(G(z))))²]"
    assert [*symbols.definitions] == [f"T: shifted by up to 0.1 of the side{rest}"]


def test_that_an_aim_at_the_ratio_itself_has_one_definition_of_it():
    symbols = Symbols(fake=Score("D", "G(z)"))
    assert write(Decoupled(NonSaturating(), ReverseKL("plug_in")).generator, symbols) == "E[−log r]"
    (definition,) = symbols.definitions
    assert definition.startswith("log r = D(G(z)), at most 10;")


def test_that_only_data_come_from_the_batch(sheet):
    assert sheet("loss=relativistic_average").sections["sees"] == [
        "discriminator: new z; x from a new batch of 64 at each update; trains discriminator",
        "generator: new z; x from the batch drawn last; trains generator",
    ]
    assert sheet("loss=non_saturating").sections["sees"][1] == "generator: new z; trains generator"


def test_that_captions_are_defined(sheet):
    written = sheet("dataset=captioned_shapes", "game=text_to_image")
    assert "φ(t): the embedding of t, the caption of x, given to the fake too" in written.sections["where"]
    assert any("D(x, φ(t)) = w · h(f(x), e(φ(t)))" in line for line in written.sections["networks"])


def test_that_repeated_layers_are_bracketed_and_long_networks_cut():
    twice = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    (line,) = network_lines("critic", twice)
    assert line == "critic: (Linear 8→8 ReLU) ×2, Linear 8→1; 153 parameters"
    (line,) = network_lines("long", nn.Sequential(*[nn.Linear(100 + i, 101 + i) for i in range(60)]))
    layers = line.partition(";")[0]
    assert len(layers) < 440
    assert int(re.search(r"… and (\d+) more layers$", layers)[1]) == 60 - layers.count("Linear")


PACKAGE = Path(gan_runner.__file__).parent


def parts_in(folder):
    """The classes and functions that a folder defines, with the file of each."""
    for path in sorted((PACKAGE / folder).glob("*.py")):
        module = importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
        for name, part in vars(module).items():
            if getattr(part, "__module__", "") == module.__name__ and not name.startswith("_"):
                yield f"gan_runner/{folder}/{path.name}: {name}", part


def is_layer(part):
    return inspect.isclass(part) and issubclass(part, nn.Module) and not issubclass(part, nn.Sequential)


def is_stateful(part):
    """Whether a module is called with a turn, as a term, or without arguments, as a constraint."""
    return is_layer(part) and [*inspect.signature(part.forward).parameters][1:] in (["turn"], [])


def lacking(part):
    """What of a part lacks a formula: the halves of a loss, or the part itself."""
    if hasattr(part, "identifies"):
        halves = [half for half in ("discriminator", "generator", "distance") if hasattr(part, half)]
        return [half for half in halves if formula_of(getattr(part, half)) is None]
    return [] if formula_of(part) else ["formula"]


def test_that_every_loss_term_constraint_and_layer_has_a_formula():
    losses = [(at, part) for at, part in parts_in("losses") if hasattr(part, "identifies") and not is_protocol(part)]
    named = set(re.findall(r"gan_runner\.(?:terms|constraints)\.\w+\.\w+", "".join(map(read, CONF.rglob("*.yaml")))))
    terms = [
        (at, part)
        for folder in ("terms", "constraints")
        for at, part in parts_in(folder)
        if f"{part.__module__}.{part.__name__}" in named or is_stateful(part)
    ]
    layers = [(at, part) for at, part in parts_in("models/layers") if is_layer(part) and "forward" in vars(part)]
    parts = [*losses, *terms, *layers]
    assert min(len(losses), len(terms), len(layers)) > 10
    assert [f"{at} lacks a formula of {name}" for at, part in parts for name in lacking(part)] == []


def is_protocol(part):
    return Protocol in part.__bases__


def read(path):
    return path.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Savage:
    """A loss of one's own, without a formula."""

    identifies = "ratio"

    def discriminator(self, scores):
        return -scores.real.mean()

    def generator(self, scores):
        return -scores.fake.mean()


def half_as_much(turn, loss):
    return loss.generator(turn.scores) / 2


def test_that_a_part_without_a_formula_is_written_as_its_name(sheet):
    written = sheet(
        *("trusted=[test_sheet]", "loss._target_=test_sheet.Savage", "~loss.real_target", "~loss.fake_target"),
        *(
            "+players.generator.weights.half=2",
            f"+players.generator.terms.half={partial_of('test_sheet.half_as_much')}",
        ),
    )
    assert [each.sum for each in written.objectives] == ["savage(D)", "savage(D) + 2 · half_as_much"]


def partial_of(target):
    return f"{{_target_: {target}, _partial_: true, loss: ${{loss}}}}"


@pytest.mark.parametrize(
    ("value", "text"),
    [(10, "10"), (0.01, "0.01"), (1e-4, "1e-4"), (0.9999, "0.9999"), (-0.5, "−0.5"), (3000, "3,000"), (5e-5, "5e-5")],
)
def test_that_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("sharpness", "text"),
    [(1.0, "E[σ(−D(x))²] + 1 + 1.1 D(G(z))"), (2.0, "E[σ(−2 D(x))²] + 1 + 2.1 D(G(z))")],
)
def test_that_a_factor_of_one_is_not_written(sharpness, text):
    options = SimpleNamespace(sharpness=sharpness, more=sharpness + 0.1)
    symbols = Symbols(real="D(x)", fake="D(G(z))")
    assert fill("E[σ(−{sharpness} {real})²] + 1 + {more} {fake}", options, symbols) == text


@pytest.mark.parametrize(
    ("weight", "formula", "text"),
    [
        ("1", "−E[a] − E[b]", "− E[a] − E[b]"),
        ("−1", "−E[a]", "+ E[a]"),
        ("−1", "E[a] + E[b]", "− (E[a] + E[b])"),
        ("2", "−E[a + b]", "− 2 · E[a + b]"),
        ("2", "‖a − b‖²", "+ 2 · ‖a − b‖²"),
        ("2", "‖a‖ − b", "+ 2 · (‖a‖ − b)"),
    ],
)
def test_that_a_weight_multiplies_the_whole_formula(weight, formula, text):
    assert Term(*weighted(weight, formula), origins=()).signed(first=False) == text


def test_that_parts_of_a_game_have_critics_of_their_own(sheet, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "terms"))
    options = importlib.import_module("two_critics").options
    generator = sheet(*options()).objectives[1]
    assert generator.sum == "−E[log σ(D_a(G(z)))] − E[log σ(D_b(G(z)))]"


TINY = ("model=mlp", "dataset=ring8", "model.generator.width=8", "model.discriminator.width=8", "logger.mode=disabled")


def test_that_explain_prints_the_sheet_and_leaves_nothing(gan_run, tmp_path, monkeypatch):
    monkeypatch.setattr(Ring, "load", None)  # no data is read
    code, out, err = gan_run(*TINY, "loss=wgan_gp", "explain=true", "seeds=2", "hydra.run.dir=run")
    assert code == 0, err
    assert "discriminator ×5   E[D(G(z))] − E[D(x)] + 0.1 · E[(‖∇D(x̂)‖ − 1)²]   Adam 5e-4 (.5, .9)" in out
    assert "Gulrajani et al. 2017, arXiv:1704.00028" in out
    assert "seeds      0, 1" in out
    assert not (tmp_path / "run").exists()


def test_that_a_sweep_that_explains_leaves_nothing(gan_run, tmp_path):
    code, out, err = gan_run("-m", *TINY, "loss=hinge,lsgan", "explain=true", "hydra.sweep.dir=sweep")
    assert code == 0, err
    assert "E[max(0, 1 − D(x))]" in out
    assert "½ E[(D(x) − 1)²]" in out
    assert not (tmp_path / "sweep").exists()


def test_that_explain_refuses_what_cannot_be_trained(gan_run):
    code, out, err = gan_run(*TINY, "loss=wgan_gp", "model.discriminator.norm=batch", "explain=true")
    assert (code, out) == (2, "")
    assert "choose model.discriminator.norm=none" in err


def test_that_a_run_keeps_its_sheet(finished_run, gan_run, tmp_path):
    finished_run(*TINY, "trainer.steps=1", "metric=[]", "objective=null")
    kept = (tmp_path / "run" / "method.md").read_text()
    assert "discriminator ×1   −E[log σ(D(x))] − E[log(1 − σ(D(G(z))))]" in kept
    before = sorted((tmp_path / "run").rglob("*"))
    code, out, err = gan_run("resume=run", "explain=true", "players.discriminator.updates=3")
    assert code == 0, err
    assert "discriminator ×3" in out
    assert sorted((tmp_path / "run").rglob("*")) == before
