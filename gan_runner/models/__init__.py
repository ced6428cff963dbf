"""Networks. Each model has a generator and a discriminator, and all take the same options."""
