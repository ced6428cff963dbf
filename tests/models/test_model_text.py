"""Test the sentence encoder, its loss, and what it learns from drawn shapes."""

import pytest
import torch
from torch.nn.functional import conv1d, one_hot

from gan_runner.datasets.captions import ALPHABET, encode
from gan_runner.datasets.shapes import CaptionedShapes
from gan_runner.models.conditions import NUM_KEPT, TextCondition
from gan_runner.models.text import (
    CharacterConvolution,
    ImageEncoder,
    JointEmbedding,
    TextEncoder,
    classes_of,
    is_retrieved,
    joint_embedding_loss,
    same_class,
)

CPU = torch.device("cpu")


@pytest.mark.usefixtures("_float64")
def test_table_look_up_equals_a_convolution_of_one_hot_characters():
    layer = CharacterConvolution(5)
    codes = torch.randint(len(ALPHABET) + 1, (3, 20))
    one_hots = one_hot(codes, len(ALPHABET) + 1)[:, :, 1:].double().transpose(1, 2)  # zeros where there is none
    expected = conv1d(one_hots, layer.table.permute(2, 1, 0), layer.bias)
    assert layer(codes).shape == (3, 5, 17)
    assert torch.allclose(layer(codes), expected)


@pytest.mark.usefixtures("_float64")
def test_encoding_is_the_mean_over_steps_of_a_recurrent_network():
    encoder = TextEncoder(24, dim=3, widths=(4, 5))
    codes = torch.randint(1, 71, (2, 24))
    x = torch.relu(encoder.first(codes))
    x = torch.relu(encoder.rest[0](torch.nn.functional.max_pool1d(x, 3)))  # 21 characters seen, 7 left, 4 steps
    states = [torch.zeros(2, 5)]
    for step in x.unbind(2):
        states.append(torch.tanh(encoder.inputs(step) + encoder.recurrent(states[-1])))
    assert len(states) == 5
    assert torch.allclose(encoder(codes), encoder.output(torch.stack(states[1:]).mean(0)))


def test_encoding_depends_on_word_order_and_is_deterministic():
    encoder = TextEncoder(64, dim=8)
    one, other = (encode(text, 64) for text in ("a red ring on blue", "a blue ring on red"))
    first, second, again = encoder(torch.stack([one, other, one]))
    assert torch.equal(first, again)
    assert not torch.allclose(first, second, atol=1e-4)


@pytest.mark.parametrize(("length", "widths"), [(30, (4, 4, 4)), (3, (4,)), (100, ())])
def test_too_short_sentences_are_refused(length, widths):
    with pytest.raises(ValueError, match=f"reduce {length} characters to nothing; choose fewer widths"):
        TextEncoder(length, widths=widths)


def test_the_shortest_sentence_leaves_one_step():
    assert TextEncoder(48, widths=(4, 4, 4))(torch.ones(1, 48)).shape == (1, 64)
    with pytest.raises(ValueError, match="47 characters"):
        TextEncoder(47, widths=(4, 4, 4))


def by_definition(images, texts, label):
    """Equations 4 to 6 of arXiv:1605.05395 in loops, with the mean over positive terms."""
    n, total = len(label), 0.0
    for left, right in ((images, texts), (texts, images)):
        surplus = []
        for i in range(n):
            for y in set(label) - {label[i]}:
                members = [float(left[i] @ right[j]) for j in range(n) if label[j] == y]
                surplus.append(1 + sum(members) / len(members) - float(images[i] @ texts[i]))
        above = [value for value in surplus if value > 0]
        total += sum(above) / len(above)
    return total


@pytest.mark.usefixtures("_float64")
def test_loss_equals_the_structured_loss_in_loops():
    images, texts = torch.randn(2, 7, 3).unbind(0)
    label = [0, 1, 1, 2, 0, 3, 0]
    found = joint_embedding_loss(images, texts, same_class(torch.tensor(label)))
    assert found.item() == pytest.approx(by_definition(images, texts, label))


@pytest.mark.usefixtures("_float64")
def test_loss_in_closed_form():
    apart = torch.eye(2, dtype=torch.bool)
    basis = torch.eye(2)
    assert joint_embedding_loss(basis, 2 * basis, apart) == 0  # right by 2, which is more than the margin
    assert joint_embedding_loss(basis, 0.25 * basis, apart) == pytest.approx(2 * 0.75)  # short of it by ¾, either way
    assert joint_embedding_loss(basis, basis.flip(0), apart) == pytest.approx(2 * 2)
    assert joint_embedding_loss(basis, torch.zeros(2, 2), torch.ones(2, 2, dtype=torch.bool)) == 0  # all of one class


def test_classes_are_labels_attributes_or_single_images():
    assert same_class(torch.tensor([3, 1, 3])).tolist() == [
        [True, False, True],
        [False, True, False],
        [True, False, True],
    ]
    assert same_class(torch.tensor([[0, 1], [1, 1], [0, 1]]))[0].tolist() == [True, False, True]

    class Unlabelled:
        labels = None

    batch = {"data": torch.zeros(3, 1), "label": torch.zeros(3, dtype=torch.long)}
    assert torch.equal(classes_of(batch, Unlabelled()), torch.eye(3, dtype=torch.bool))


def test_retrieval_by_hand():
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert is_retrieved(images, torch.tensor([[2.0, 1.0], [3.0, 1.0]])).tolist() == [True, False]


COLOURS = CaptionedShapes(
    image_size=8, count=1500, test_count=200, shapes=("square", "circle"), unseen=4, caption_length=56, workers=0
)
QUICK = JointEmbedding(steps=20, batch_size=32)
ENOUGH = JointEmbedding(steps=800, batch_size=64, lr=2e-3)


def trained(training):
    """A trained condition network with a small encoder."""
    torch.manual_seed(0)
    condition = TextCondition(COLOURS, TextEncoder(56, dim=16, widths=(32, 32)), training)
    condition.prepare(COLOURS.load(CPU))
    return condition


@pytest.fixture(scope="module")
def condition():
    """A condition network after one training step."""
    return trained(QUICK)


def test_training_runs_once_and_logs_its_accuracy(condition, caplog):
    with caplog.at_level("INFO", "gan_runner"):
        weights = QUICK.weights(COLOURS, COLOURS.load(CPU), condition.encoder)
    assert "of the test split in" in caplog.text
    assert "from the cache" in caplog.text
    assert all(torch.equal(value, condition.encoder.state_dict()[name]) for name, value in weights.items())


@pytest.mark.slow
def test_encoder_generalises_to_unseen_pairs(caplog):
    """Test that retrieval is far above chance, and that a linear map from φ to colours generalises to unseen pairs."""
    with caplog.at_level("INFO", "gan_runner"):
        condition = trained(ENOUGH)
    assert float(caplog.text.split("split in ")[1].split(" %")[0]) > 3 * 100 / 64
    (seen, mentioned), (unseen, true) = (COLOURS.captions(500, split) for split in ("train", "test"))
    fitted = torch.linalg.lstsq(condition.phi(seen), mentioned[:, :8]).solution
    right = (condition.phi(unseen) @ fitted).argmax(1) == true[:, :8].argmax(1)
    assert len({pair[0] for pair in COLOURS.unseen_pairs}) == 4
    assert right.double().mean() > 0.6  # chance level is 1/8


def test_training_is_reproducible_and_keeps_random_state(condition):
    data = COLOURS.load(CPU)
    one = JointEmbedding(steps=2, batch_size=8)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = one.train_encoders(COLOURS, data, condition.encoder)[0].state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = one.train_encoders(COLOURS, data, condition.encoder)[0].state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(("option", "message"), [({"steps": -1}, "steps must be 0"), ({"batch_size": 0}, "batch_size")])
def test_invalid_training_options_are_refused(option, message):
    with pytest.raises(ValueError, match=message):
        JointEmbedding(**option)


@pytest.mark.parametrize("side", [8, 28, 64])
def test_image_encoder_takes_any_side(side):
    assert ImageEncoder((3, side, side), 5, width=2)(torch.zeros(2, 3, side, side)).shape == (2, 5)


def test_conditions_have_mean_zero_and_mean_square_one(condition):
    known = condition.phi(condition.known)
    assert known.mean(0).abs().max() < 1e-5
    assert known.square().mean().item() == pytest.approx(1, rel=1e-4)


def test_pictures_show_captions_of_the_test_split(condition):
    vectors, captions = condition.examples(5)
    assert len(captions) == len(vectors) == 5
    pairs = {" ".join(pair) for pair in COLOURS.unseen_pairs}
    synonyms = {"violet": "purple", "turquoise": "cyan", "disc": "circle", "box": "square"}
    for caption, vector in zip(captions, vectors):
        words = [synonyms.get(word, word) for word in caption.replace(",", "").split()]
        assert any(pair in " ".join(words) for pair in pairs), caption
        assert torch.allclose(condition.parse(caption), vector, atol=1e-5)


def test_samples_are_drawn_for_captions_of_the_training_split(condition):
    drawn = condition.draw(7, torch.Generator().manual_seed(0))
    known = condition.phi(condition.known)
    assert drawn.shape == (7, 16)
    assert len(known) == NUM_KEPT
    assert torch.cdist(drawn, known).min(1).values.max() < 1e-2  # of distances around 5
    assert torch.equal(drawn, condition.draw(7, torch.Generator().manual_seed(0)))


def test_a_sentence_without_letters_is_refused(condition):
    with pytest.raises(ValueError, match="no character of the alphabet"):
        condition.parse("赤い丸")


def test_encoder_is_not_trained_by_the_game(condition):
    assert not any(parameter.requires_grad for parameter in condition.parameters())
