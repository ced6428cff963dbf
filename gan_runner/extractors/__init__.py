"""Feature networks: through whose eyes images are compared.

An extractor is a recipe: it is named in the figures of the metrics that look through it, since a distance of features
means little without their network. Two equal recipes share one network and what it has seen.
"""
