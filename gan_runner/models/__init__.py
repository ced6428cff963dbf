"""Networks: a generator and a discriminator each, with the same knobs."""
