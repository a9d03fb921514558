"""Tests that stay valid however often one looks, with the camera as the unit.

Frames of one camera are correlated, and each camera has effects of its own that last; only another
camera is another observation. So each camera gives one number, and a test sees those numbers alone.

Peeking: looks happen on a geometric schedule (`look_at`), and look k may spend alpha / (k (k + 1)),
which sums to alpha over all k (`alpha_of_look`). By the union bound the chance that any look ever
rejects a true null is at most alpha, whenever one stops and however the looks depend on each other
(Johari, Koomen, Pekelis, Walsh: Always valid inference, Operations Research 70, 2022, section 3, is
the notion; Darling and Robbins: Iterated logarithm inequalities, PNAS 57, 1967, the spending over a
geometric schedule). Looking at every window instead would not find a fault sooner for long: what
limits the tests is how many cameras there are.

Arrays hold a value a camera in their last axis, NaN where it has none; every function takes leading
axes, so that a simulation tests thousands of rollouts with the code that serves.
"""

import math

import numpy as np
import numpy.typing as npt

# Not scipy.stats, for one function of it: it adds 0.3 s to each start of a controller.
from scipy.special import stdtr

Floats = npt.NDArray[np.float64]

FIRST_LOOK = 6
"""Windows of a stage before its first look."""

LOOK_RATIO = 1.3
"""From one look to the next: a verdict comes at most 30 percent later than it could."""

# Bets, as shares of the largest that cannot lose everything; a mixture of them needs no guess.
_BETS = np.array([0.3, 0.6, 0.9])


def look_at(looks: int) -> int:
    """Return how many windows a stage must have for its next look.

    Args:
        looks: How many it has had.
    """
    windows = FIRST_LOOK
    for _ in range(looks):
        windows = math.ceil(windows * LOOK_RATIO)
    return windows


def alpha_of_look(alpha: float, look: int, last: bool) -> float:
    """Return what a look at a stage may spend of the stage's alpha.

    Args:
        alpha: Of all the stage's looks together.
        look: Counted from 1.
        last: Whether it is the one that ends the stage. There is one such look, and it knows most:
            it has half; look k before it has half of alpha / (k (k + 1)), which sums to half.
    """
    return alpha / 2 if last else alpha / (2 * look * (look + 1))


def mean_above_t_p(values: Floats, limit: float, *, least_sd: float) -> Floats:
    """Return p-values of "the mean is at most `limit`" against "it is above", by Student's t.

    More powerful than `mean_above_p` where limits are not small, and nearly exact where the values
    are nearly normal. A tail towards high values moves t down, to the safe side (Cressie: Relaxing
    assumptions in the one sample t-test, Australian Journal of Statistics 22, 1980).

    Args:
        values: (..., cameras); NaN: none.
        limit: The mean under the null.
        least_sd: Cameras are taken to differ by no less than this, so that a few that happen to
            be alike prove nothing.
    """
    units, centre = count(values), mean(values)
    squares = np.nansum((values - centre[..., None]) ** 2, axis=-1)
    freedom = np.maximum(units - 1, 1)
    sd = np.sqrt(np.maximum(squares / freedom, least_sd**2))
    t = (centre - limit) / sd * np.sqrt(units)
    return np.where(units > 1, stdtr(freedom, -t), 1.0)


def mean_above_p(values: Floats, limit: float | Floats) -> Floats:
    """Return p-values of "the cameras' mean is at most `limit`" against "it is above".

    A bet on each camera: the wealth, the product of 1 + b (x - limit) over the cameras, has a mean
    of at most 1 under the null for each bet b in [0, 1/limit), so has a mixture over bets, and by
    Markov's inequality 1/wealth is a p-value (Waudby-Smith and Ramdas: Estimating means of bounded
    random variables by betting, JRSS B 86, 2024, section 4). Exact for every distribution on
    [0, inf), however skewed and for however few cameras, and sharp for small limits: a camera at
    four times the limit multiplies the wealth by up to four.

    Args:
        values: (..., cameras), at least 0; NaN: none.
        limit: (...), above 0.
    """
    bound = np.asarray(limit, np.float64)[..., None]
    gain = np.nan_to_num(values / bound - 1, nan=0.0)
    log_wealth = np.log1p(_BETS[:, None] * gain[..., None, :]).sum(axis=-1)
    most = log_wealth.max(axis=-1)
    wealth = np.log(np.exp(log_wealth - most[..., None]).mean(axis=-1)) + most
    return np.asarray(np.exp(-np.maximum(wealth, 0.0)))


def count(values: Floats) -> Floats:
    """Return (...) how many of the last axis are not NaN."""
    return np.asarray(np.isfinite(values).sum(axis=-1), np.float64)


def mean(values: Floats) -> Floats:
    """Return (...) the mean of those of the last axis that are not NaN; 0 of none."""
    return np.asarray(np.nansum(values, axis=-1) / np.maximum(count(values), 1))
