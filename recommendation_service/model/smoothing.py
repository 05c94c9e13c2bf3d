"""Smoothing: counts as shares of their sum, and the logarithms of shares.

Dirichlet smoothing (Zhai and Lafferty, 2001): where a sum rests on few interactions, its shares are
mixed with a background of popular lessons.
"""

from math import log
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Logs

SMOOTHING: Final = 3.0  # interactions that the background is worth
FLOOR: Final = 1e-3  # shares far below this count as none


def smooth(sums: Logs, own: Logs, background: Logs) -> None:
    """Turn sums [..., lessons] into shares, in place: `own` [...] of each, the rest background."""
    totals = sums.sum(axis=-1)
    nothing = totals <= 0.0
    own[nothing], totals[nothing] = 0.0, 1.0
    sums *= (own / totals)[..., None]
    sums += np.multiply.outer(1.0 - own, background)


def take_logs(shares: Logs) -> None:
    """Turn shares into log(1 + share / FLOOR), in place: 0 for no share."""
    shares += np.float32(FLOOR)
    np.log(shares, out=shares)
    shares -= np.float32(log(FLOOR))
