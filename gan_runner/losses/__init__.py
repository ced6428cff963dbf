"""Losses: what both players descend, as functions of the scores; and what an optimal critic's score means.

A loss is a frozen dataclass with `discriminator(scores)` and `generator(scores)`. It reads `scores.real` and
`scores.fake`, (n,) each, and what it does not read is not computed. `identifies` says what an optimal
discriminator of this loss knows of the densities p of the data and q of the fakes:

- `ratio`: `log_ratio(score)` is log p/q, and `optimal_score` its inverse;
- `relative`: `log_ratio(score)` is log p/q up to a constant, which E_q[p/q] = 1 fixes;
- `order`: where the score is greater, so is p/q;
- `sign`: `sign(score)` says which density is larger;
- `potential`: differences of scores bound a distance between p and q.
"""
