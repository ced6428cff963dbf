"""Feature extractors: networks in whose feature space images are compared.

An extractor describes a network without loading it. Its name is part of the names of the metrics that use it, since a
distance between features means little without the network. Equal extractors share one network and its features.
"""
