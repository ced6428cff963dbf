"""Two Gaussians with known divergences, and the losses of both players on them."""

import torch
from pointwise import OnlyFake, Scores
from torch.distributions import Normal, kl_divergence

X = torch.linspace(-12, 12, 2401, dtype=torch.float64)
Z = torch.linspace(-16, 16, 3201, dtype=torch.float64)


def gaussian(mean, scale):
    return Normal(torch.tensor(mean, dtype=torch.float64), torch.tensor(scale, dtype=torch.float64))


P, Q = gaussian(0.0, 1.0), gaussian(0.5, 0.9)


def weights(density, points=X):
    """The density at evenly spaced points, normalised to sum to one."""
    return density.log_prob(points).exp() * (points[1] - points[0])


def log_ratio(points=X, p=P, q=Q):
    return p.log_prob(points) - q.log_prob(points)


def power(alpha, p, q):
    """∫ p^α q^(1 − α), by completing the square."""
    mixed = (1 - alpha) * p.scale**2 + alpha * q.scale**2
    exponent = -alpha * (1 - alpha) * (p.loc - q.loc) ** 2 / (2 * mixed)
    return p.scale ** (1 - alpha) * q.scale**alpha / mixed.sqrt() * exponent.exp()


def kl(p, q):
    return kl_divergence(p, q)


def reverse_kl(p, q):
    return kl_divergence(q, p)


def pearson(p, q):
    return power(2, p, q) - 1


def neyman(p, q):
    return power(-1, p, q) - 1


def hellinger(p, q):
    return 2 - 2 * power(0.5, p, q)


def alpha(order):
    return lambda p, q: (power(order, p, q) - 1) / (order * (order - 1))


def jensen_shannon(pi):
    """π KL(p‖m) + (1 − π) KL(q‖m), summed over the grid."""

    def divergence(p, q):
        log_p, log_q = p.log_prob(X), q.log_prob(X)
        log_m = (pi * log_p.exp() + (1 - pi) * log_q.exp()).log()
        return pi * weights(p) @ (log_p - log_m) + (1 - pi) * weights(q) @ (log_q - log_m)

    return divergence


def discriminator_cost(loss, score, p, q):
    """The discriminator's loss where real samples have weights p and fakes q, (n,) each, that sum to one each."""
    each = torch.vmap(lambda real, fake: loss.discriminator(Scores(real[None], fake[None])))
    rest = torch.zeros_like(score)
    return p @ each(score, rest) + q @ each(rest, score) - each(rest, rest)[0]


def generator_cost(loss, score, q):
    """The generator's loss where fakes have weights q (n,) that sum to one."""
    return q @ torch.vmap(lambda fake: loss.generator(OnlyFake(fake[None])))(score)


def slopes(value):
    """The derivatives of a function of a Gaussian by its mean and scale, at Q."""
    q = Normal(Q.loc.clone().requires_grad_(), Q.scale.clone().requires_grad_())
    return torch.stack(torch.autograd.grad(value(q), (q.loc, q.scale)))


def generator_slopes(loss, critic):
    """The gradient of the generator's loss by the mean and scale of q, with the critic fixed (scores by log p/q)."""
    noise = weights(gaussian(0.0, 1.0), Z)
    return slopes(lambda q: generator_cost(loss, critic(log_ratio(q.loc + q.scale * Z)), noise))
