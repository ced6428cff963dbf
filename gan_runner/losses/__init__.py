"""Losses: the objectives of both players as functions of the critic's scores, and what an optimal score means.

A loss is a frozen dataclass with `discriminator(scores)` and `generator(scores)`. It reads `scores.real` and
`scores.fake`, (n,) each; scores that it does not read are not computed. `identifies` names what the optimal
discriminator of this loss tells about the densities p of the data and q of the fakes:

- `ratio`: `log_ratio(score)` is log p/q, and `optimal_score` its inverse;
- `relative`: `log_ratio(score)` is log p/q up to a constant, which E_q[p/q] = 1 fixes;
- `order`: where the score is greater, p/q is greater;
- `sign`: `sign(score)` tells which density is larger;
- `potential`: differences of mean scores bound a distance between p and q.
"""
