"""What resolving makes of typed values."""

from gan_runner.config.resolve import resolve


def test_counts_may_be_typed_with_an_exponent(hydra_config):
    counts = ("trainer.steps=1e4", "trainer.batch_size=6.4e1", "trainer.log_every=1e3", "dataset.count=2e3")
    config = resolve(hydra_config("dataset=ring8", "model=mlp", *counts))
    assert repr(config.trainer.steps) == "10000"  # an int, not 10000.0
    assert repr(config.trainer.batch_size) == "64"
    assert repr(config.trainer.log_every) == "1000"
    assert repr(config.dataset.count) == "2000"
    assert repr(config.scheduler.lr_lambda.steps) == "10000"
