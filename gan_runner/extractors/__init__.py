"""Feature networks: through whose eyes images are compared.

An extractor is a recipe: it is named in the figures of the metrics that look through it, since a distance of features
means little without their network. Two equal recipes share one network and what it has seen.
"""

from gan_runner.extractors.base import Extractor, Eye, Pretrained, Seen
from gan_runner.extractors.classifier import Classifier, SoftmaxRegression
from gan_runner.extractors.inception import Inception
from gan_runner.extractors.torchvision import Torchvision

__all__ = ["Classifier", "Extractor", "Eye", "Inception", "Pretrained", "Seen", "SoftmaxRegression", "Torchvision"]
