"""Compatibility of options, checked before any data is read."""

import re
from functools import partial
from types import SimpleNamespace

import pytest
from conftest import names_in
from omegaconf import OmegaConf
from torch import nn

from gan_runner.config.compatibility import check_turns, implements, turn_looked_at
from gan_runner.config.instantiate import locate
from gan_runner.config.paths import CONF
from gan_runner.datasets.base import Batches
from gan_runner.errors import ConfigError
from gan_runner.games.bilinear import Bilinear, BilinearTurn
from gan_runner.games.gan import GAN
from gan_runner.games.moment_matching import CodesTurn, DataTurn, MomentMatchingTurn, ReconstructingTurn
from gan_runner.games.text_to_image import TextToImage, TextTurn
from gan_runner.losses.moments import MMD
from gan_runner.terms.matching import mismatch
from gan_runner.terms.moments import mmd
from gan_runner.turn import Turn

NOTHING = OmegaConf.create()


TERMS = sorted(
    set(re.findall(r"gan_runner\.terms\.[\w.]+", "".join(path.read_text() for path in CONF.rglob("*.yaml"))))
)


@pytest.mark.parametrize("target", TERMS)
def test_every_term_declares_its_turn_type(target):
    wanted = turn_looked_at(partial(locate(target, ())))
    assert wanted in (MomentMatchingTurn, ReconstructingTurn) or issubclass(wanted, Turn)


@pytest.mark.parametrize("method", ["cls", "int", "int_cls"])
def test_methods_for_captions_are_refused_with_labels(make_system, method):
    message = f"^method={method} does not work in this game; choose game=text_to_image, or leave it out$"
    with pytest.raises(ConfigError, match=message):
        make_system("game=conditional", f"method={method}")


@pytest.mark.parametrize("method", names_in("method"))
def test_a_game_with_its_own_head_accepts_no_method(make_system, method):
    message = rf"^method=([a-z_]+ \| )?{method}( \| [a-z_]+)? needs a condition, and this game has none; choose"
    with pytest.raises(ConfigError, match=message):
        make_system("game=semi_supervised", f"method={method}")


def test_stateful_terms_are_checked_too():
    class Remembering(nn.Module):
        def forward(self, turn: TextTurn) -> None: ...

    check_turns("it", partial(Remembering), TextToImage(None), NOTHING)
    with pytest.raises(ConfigError, match="it does not work in this game; choose game=text_to_image, or leave it out"):
        check_turns("it", partial(Remembering), GAN(None), NOTHING)


def test_users_terms_and_games_need_no_declarations():
    game = SimpleNamespace(turn=None)
    check_turns("it", partial(mismatch), type("Game", (), {"turn": lambda *_: None})(), NOTHING)
    check_turns("it", partial(lambda turn: turn), GAN(None), NOTHING)
    check_turns("it", partial(lambda: game), GAN(None), NOTHING)


def test_a_turn_must_have_the_members_of_a_terms_protocol():
    assert implements(DataTurn, MomentMatchingTurn)
    assert implements(CodesTurn, MomentMatchingTurn)
    assert not implements(BilinearTurn, MomentMatchingTurn)
    with pytest.raises(ConfigError, match="it does not work in this game; choose another game, or leave it out"):
        check_turns("it", partial(mmd, loss=MMD), Bilinear(), NOTHING)


@pytest.mark.parametrize("dataset", ["ring8", "stacked_mnist"])
def test_a_game_with_a_metric_accepts_data_with_a_metric(hydra_config, dataset):
    metrics = hydra_config("game=semi_supervised", f"dataset={dataset}").metric
    assert {"classification_error", "mode_coverage" if dataset == "ring8" else "classified_modes"} <= set(metrics)


@pytest.mark.parametrize(
    "options",
    [
        *(["dataset=ring8", "model=mlp", f"loss={loss}"] for loss in ("mmd", "mmd_rq")),
        ["dataset=ring8", "model=mlp", "loss=mmd", "loss.median=false", "loss.root=false", "loss.unbiased=true"],
        ["dataset=ring8", "model=mlp", "model.generator.norm=none", "regularizer=[pulling_away]"],
    ],
    ids=["mmd", "mmd_rq", "unbiased", "pulling_away"],
)
def test_a_batch_of_one_is_refused_where_samples_are_compared(make_system, options):
    with pytest.raises(ConfigError, match=r"it compares the samples of a batch.* set trainer.batch_size to 2 or more"):
        make_system(*options, batch_size=1)


def test_the_biased_estimate_in_its_own_units_takes_a_batch_of_one(make_system):
    options = [
        "loss=mmd",
        "loss.median=false",
        "loss.root=false",
        "model.generator.norm=none",
        "model.generator.width=8",
    ]
    options += ["dataset=ring8", "model=mlp"]
    system = make_system(*options, batch_size=1)
    report = system.step(Batches(system.dataset.load(system.device), 1, 0))
    assert report["generator/moments"].isfinite()
