"""The inputs of the generator: row i depends on the seed and i alone."""

import pytest
import torch
from combinations import overrides
from methods import INFOGAN, TEXT, prepared

GAMES = {
    "gan": overrides("mlp", "lsgan", None, "points"),
    "conditional": [*overrides("mlp", "non_saturating", None, "image"), "game=conditional"],
    "infogan": [*overrides("infogan", "non_saturating", None, "image"), "game=infogan", *INFOGAN],
    "text_to_image": [*overrides("dcgan", "non_saturating", None, "text"), *TEXT, "method=gan"],
    "vae": [*overrides("mlp", "non_saturating", None, "points"), "game=vae"],
}


@pytest.mark.parametrize("game", GAMES)
def test_rows_do_not_depend_on_how_many_are_drawn(make_system, game):
    system = prepared(make_system(*GAMES[game]))
    whole = system.noise(700, seed=3)
    assert whole[:, -1].unique().numel() > 1
    for n in (1, 7, 64, 333):
        assert torch.equal(system.noise(n, seed=3), whole[:n])
    assert not torch.equal(system.noise(7, seed=4), whole[:7])
