"""What goes with what, said before anything is read."""

from functools import partial
from types import SimpleNamespace

import pytest
from conftest import names_in
from torch import nn

from gan_runner import games, terms
from gan_runner.build import check_turns, offers, turn_looked_at
from gan_runner.errors import ConfigError
from gan_runner.games.moment_matching import CodesTurn, DataTurn, MomentMatchingTurn
from gan_runner.losses import MMD
from gan_runner.turn import Turn


@pytest.mark.parametrize("name", terms.__all__)
def test_every_term_says_which_turns_it_looks_at(name):
    wanted = turn_looked_at(partial(getattr(terms, name)))
    assert wanted is MomentMatchingTurn or issubclass(wanted, Turn)


@pytest.mark.parametrize("method", ["cls", "int", "int_cls"])
def test_methods_of_sentences_are_refused_beside_labels(make_parts, method):
    said = r"terms\.(mismatch|interpolation) looks at a TextTurn, and ConditionalGAN has ConditionalTurns; choose"
    with pytest.raises(ConfigError, match=said):
        make_parts("game=conditional", f"method={method}")


@pytest.mark.parametrize("method", names_in("method"))
def test_a_game_with_a_head_of_its_own_has_no_method(make_parts, method):
    with pytest.raises(ConfigError, match=r"is told a condition, and this game has none; .* or leave out method="):
        make_parts("game=semi_supervised", f"method={method}")


def test_terms_that_remember_something_are_looked_at_too():
    class Remembering(nn.Module):
        def forward(self, turn: games.TextTurn) -> None: ...

    check_turns("it", partial(Remembering), games.TextToImage(None))
    with pytest.raises(ConfigError, match="it looks at a TextTurn, and GAN has GANTurns"):
        check_turns("it", partial(Remembering), games.GAN(None))


def test_terms_and_games_of_others_may_leave_it_open():
    game = SimpleNamespace(turn=None)
    check_turns("it", partial(terms.mismatch), type("Game", (), {"turn": lambda *_: None})())
    check_turns("it", partial(lambda turn: turn), games.GAN(None))
    check_turns("it", partial(lambda: game), games.GAN(None))


def test_of_a_protocol_turns_need_what_it_names():
    assert offers(DataTurn, MomentMatchingTurn)
    assert offers(CodesTurn, MomentMatchingTurn)
    assert not offers(games.BilinearTurn, MomentMatchingTurn)
    with pytest.raises(ConfigError, match="it looks at a MomentMatchingTurn, and Bilinear has BilinearTurns"):
        check_turns("it", partial(terms.mmd, loss=MMD), games.Bilinear())


@pytest.mark.parametrize("dataset", ["ring8", "stacked_mnist"])
def test_a_game_that_measures_goes_with_data_that_brings_a_metric(hydra_config, dataset):
    metrics = hydra_config("game=semi_supervised", f"dataset={dataset}").metric
    assert {"classification_error", "mode_coverage" if dataset == "ring8" else "classified_modes"} <= set(metrics)
