"""Requirements of parts."""

from types import SimpleNamespace

import pytest

from gan_runner.sampling.inference import encodes


def test_a_game_without_an_encoder_is_refused():
    with pytest.raises(ValueError, match="SimpleNamespace has no encoder; choose a game with an encoder"):
        encodes(SimpleNamespace(networks={}, game=SimpleNamespace()))
