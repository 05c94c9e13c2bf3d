"""Shares: counts of lessons as shares of their sum, and the logarithms of these.

Where a count rests on little, its shares are mixed with a background of what is popular (Dirichlet
smoothing).
"""

from math import log
from typing import Final

import numpy as np

from recommendation_service.model.arrays import Logs

SMOOTHING: Final = 3.0  # meetings that the background is worth
FLOOR: Final = 1e-3  # a share far below this counts as none


def smooth(sums: Logs, own: Logs, background: Logs) -> None:
    """Make shares of sums [..., lessons], in place; `own` is what is not background: [...]."""
    totals = sums.sum(axis=-1)
    nothing = totals <= 0.0
    own[nothing], totals[nothing] = 0.0, 1.0
    sums *= (own / totals)[..., None]
    sums += np.multiply.outer(1.0 - own, background)


def take_logs(shares: Logs) -> None:
    """Make logarithms of shares, in place: 0 for nothing, and more the more."""
    shares += np.float32(FLOOR)
    np.log(shares, out=shares)
    shares -= np.float32(log(FLOOR))
