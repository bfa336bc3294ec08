"""Nodes and weights of Gauss-Legendre quadrature, float64."""

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)

UNIT, UNIT_WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
"""On (0, 1)."""

HALF_LINE, HALF_LINE_WEIGHTS = 3 * UNIT / (1 - UNIT), 3 * UNIT_WEIGHTS / (1 - UNIT) ** 2
"""On (0, infinity), by `x = 3 v / (1 - v)`: for integrands that change within a few units of `x` and fall at least as 1/x^2."""
