"""Combinations of a model, a loss, a regularizer and a kind of data: their overrides, and which are refused.

`refused.json` records which options refuse each other. `python scripts/reference.py` tries each new option with all
others and adds the refusals. To try an option again, remove its name from "recorded".
"""

import json
import re
from pathlib import Path

from conftest import TINY, names_in
from omegaconf import OmegaConf

from gan_runner.config.paths import CONF

LOSSES = names_in("loss")
REGULARIZERS = names_in("regularizer")
MODELS = names_in("model")
SHAPES = {"image": "dataset=digits", "points": "dataset=ring8"}
KINDS = tuple(SHAPES)
"""Kinds of data."""
RECORD = Path(__file__).parent / "refused.json"


def has_discriminator(game):
    """Whether a game always has a discriminator."""
    content = OmegaConf.load(CONF / "game" / f"{game}.yaml")
    return OmegaConf.select(content, "model.discriminator", default="some") is not None


def game_of(loss):
    """The game that a loss selects."""
    chosen = re.search(r"override /game: (\w+)", (CONF / "loss" / f"{loss}.yaml").read_text())
    return chosen[1] if chosen else "gan"


LOSSES_WITHOUT_DISCRIMINATOR = tuple(loss for loss in LOSSES if not has_discriminator(game_of(loss)))
GAMES_WITHOUT_DISCRIMINATOR = ("vae", "aae", "adversarial_vb", "age")


def moves(loss, updates, *options):
    """The override of the discriminator's updates per step, if there is a discriminator."""
    if loss in LOSSES_WITHOUT_DISCRIMINATOR or any(f"game={game}" in options for game in GAMES_WITHOUT_DISCRIMINATOR):
        return []
    return [f"players.discriminator.updates={updates}"]


def tiny(model):
    """Overrides that make a model small: its entry in TINY, or all of its widths."""
    if model in TINY:
        return TINY[model]
    content = OmegaConf.to_container(OmegaConf.load(CONF / "model" / f"{model}.yaml"), resolve=False)
    widths = [f"model.{name}.width=4" for name, own in content.items() if "width" in own]
    return [*widths, *(["model.latent.dim=4"] if "dim" in content.get("latent", {}) else [])]


def overrides(model, loss, regularizer, kind, *more):
    """The overrides of a combination, with a small model."""
    listed = f"[{regularizer}]" if regularizer else "[]"
    small = [
        option for option in tiny(model) if "discriminator" not in option or loss not in LOSSES_WITHOUT_DISCRIMINATOR
    ]
    return [
        f"model={model}",
        f"loss={loss}",
        f"regularizer={listed}",
        {**SHAPES, "origin": "dataset=point_mass", "text": "dataset=captioned_shapes"}[kind],
        *small,
        *more,
    ]


class Refusals:
    """Recorded refusals. A combination is refused if its model and loss are, or by its regularizer.

    Args:
        content: "losses" maps each loss and kind of data to the refused models; "regularizers" maps each regularizer
            to the refused kinds of data, models and losses; "recorded" lists the names tried so far, by group.
    """

    def __init__(self, content):
        self.recorded = content["recorded"]
        known = {*KINDS, *(name for names in self.recorded.values() for name in names)}
        self.losses, self.regularizers = (
            {
                name: {by: [one for one in refused if one in known] for by, refused in own.items()}
                for name, own in content[group].items()
                if name in known
            }
            for group in ("losses", "regularizers")
        )

    @classmethod
    def load(cls):
        """The refusals in `refused.json`."""
        return cls(json.loads(RECORD.read_text()))

    def refuses(self, model, loss, regularizer, kind):
        """Whether a combination is recorded as refused."""
        if model in self.losses.get(loss, {}).get(kind, ()):
            return True
        against = [self.regularizers.get(name, {}) for name in (regularizer or "").split(",")]
        asked = {"data": kind, "models": model, "losses": loss}
        return any(one in own.get(by, ()) for own in against for by, one in asked.items())

    def save(self):
        """Write the refusals sorted, one option per line."""
        groups = {"losses": self.losses, "regularizers": self.regularizers, "recorded": self.recorded}
        lines = {
            group: ",\n".join(f"{json.dumps(name)}: {json.dumps(in_order(own[name]))}" for name in sorted(own))
            for group, own in groups.items()
        }
        RECORD.write_text("{\n" + ",\n".join(f'"{group}": {{\n{own}\n}}' for group, own in lines.items()) + "\n}\n")


def in_order(lists):
    """Nested lists of names, sorted."""
    return {key: sorted(lists[key]) for key in sorted(lists)} if isinstance(lists, dict) else sorted(lists)


class Recorder:
    """Tries new options with all others, and adds the refused combinations to a record.

    Args:
        builds: a function that says whether a model, a loss, a regularizer or None, and a kind of data build together.
        losses: all losses, the default first.
        regularizers: all regularizers.
        models: all models, the default first.
        known: the record so far.
    """

    def __init__(self, builds, losses, regularizers, models, known):
        self.builds, self.losses, self.models, self.known = builds, losses, models, known
        self.there = {"loss": losses, "regularizer": regularizers, "model": models}
        self.new = {group: [n for n in own if n not in known.recorded[group]] for group, own in self.there.items()}

    def record(self):
        """Record the new options; return their names by group.

        Raises:
            ValueError: a new option is refused in all combinations.
        """
        for model in self.models:
            for loss in self.losses if model in self.new["model"] else self.new["loss"]:
                for kind in KINDS:
                    if not self.builds(model, loss, None, kind):
                        self.known.losses.setdefault(loss, {}).setdefault(kind, []).append(model)
        for loss in self.new["loss"]:
            if all(self.known.refuses(model, loss, None, kind) for model in self.models for kind in KINDS):
                raise ValueError(f"loss={loss} is refused with every model")
        for name in self.there["regularizer"]:
            self.record_regularizer(name, is_new=name in self.new["regularizer"])
        self.known.recorded = self.there
        return self.new

    def record_regularizer(self, name, is_new):
        """Record the data and models that refuse a regularizer, and the losses that do."""
        own = self.known.regularizers.setdefault(name, {})
        usual = next((loss for loss in self.losses if any(self.tried(name, self.models, loss, KINDS))), None)
        if usual is None:
            raise ValueError(f"regularizer={name} is refused with every loss and model")
        for kind in KINDS if is_new else ():
            if not any(self.tried(name, self.models, usual, [kind])):
                own.setdefault("data", []).append(kind)
        for model in self.models if is_new else self.new["model"]:
            answers = [*self.tried(name, [model], usual, KINDS)]
            if answers and not any(answers):
                own.setdefault("models", []).append(model)
        for loss in self.losses if is_new else self.new["loss"]:
            if not next(self.tried(name, self.models, loss, KINDS), True):
                own.setdefault("losses", []).append(loss)

    def tried(self, name, models, loss, kinds):
        """Whether each combination that is not recorded as refused can be built."""
        for model in models:
            for kind in reversed(kinds):
                if not self.known.refuses(model, loss, name, kind):
                    yield self.builds(model, loss, name, kind)
