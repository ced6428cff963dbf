"""Where a part of a configuration comes from, in the words of the command line."""

import pytest
from conftest import names_in

from gan_runner.config.instantiate import locate
from gan_runner.config.options import (
    EXCLUSIVE_GROUPS,
    brought_by,
    calls_of,
    choices,
    option_added_by,
    options_in,
    typed,
)
from gan_runner.config.resolve import resolve


@pytest.mark.parametrize("group", EXCLUSIVE_GROUPS)
def test_targets_of_every_option_exist(group):
    brought = [calls_of(group, option) for option in options_in(group)]
    assert any(brought)
    assert all(callable(locate(target, ())) for calls in brought for target in calls.values())
    assert options_in(group) == names_in(group)


def test_targets_from_the_defaults_list_are_included():
    cls, both = (set(calls_of("method", name).values()) for name in ("cls", "int_cls"))
    assert "gan_runner.models.heads.ConcatHead" in cls < both
    assert calls_of("loss", "feature_matching")["players.generator.terms.feature_matching"]  # of a regularizer
    assert calls_of("game", "infogan")["game.codes.c1"] == "gan_runner.models.codes.Categorical"  # of a setting
    assert calls_of("loss", "lsgan") == {
        "loss": "gan_runner.losses.least_squares.LeastSquares"
    }  # a file of its group alone
    assert calls_of("loss", "nowhere") == {}


def test_entries_of_a_defaults_list():
    kept = {"gan": "gan", "/regularizer/r1@_global_": "/regularizer/r1"}
    left = ["_self_", "/metric@here: fid", {"override /dataset": "ring8"}, {"/loss@loss.aim": "hinge"}]
    assert [option_added_by(entry) for entry in kept] == list(kept.values())
    assert option_added_by({"/setting/codes@_global_": "chen2016"}) == "/setting/codes/chen2016"
    assert [option_added_by(entry) for entry in left] == [""] * 4


@pytest.mark.parametrize(
    ("line", "target", "answer"),
    [
        ("loss=mmd_rq", "losses.moments.MMD", "loss=mmd_rq"),
        ("loss=mmd", "losses.moments.MMD", "loss=mmd"),
        ("loss=wgan_gp", "terms.gradient_penalties.gradient_penalty", "loss=wgan_gp"),
        ("loss=hinge regularizer=[lecam]", "terms.lecam.LeCam", "regularizer=lecam"),
        ("game=text_to_image method=int_cls", "terms.matching.mismatch", "method=int_cls"),
        ("game=text_to_image method=cls", "terms.matching.mismatch", "method=cls"),
        ("game=text_to_image method=gan", "models.heads.ConcatHead", "method=concat | gan"),  # they are the same
        ("game=infogan metric=[]", "terms.mutual_information.mutual_information", "game=infogan"),
        ("game=conditional", "terms.matching.mismatch", ""),
    ],
)
def test_a_part_is_named_by_the_option_that_adds_it(hydra_config, line, target, answer):
    assert brought_by(resolve(hydra_config(*line.split())), f"gan_runner.{target}") == answer


def test_only_few_choices_are_listed():
    assert choices("game", lambda calls: calls.get("game", "").endswith("TextToImage")) == "game=text_to_image"
    assert choices("loss", lambda calls: True) == choices("loss", lambda calls: False) == "another loss"
    assert typed("loss", ["mmd", "mmd_rq"]) == "loss=mmd | mmd_rq"
