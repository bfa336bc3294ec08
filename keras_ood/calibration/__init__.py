"""Calibration: what a detector keeps of held-out in-distribution images, and the p-values it gives."""

NOMINAL_FPR = 0.05
"""False positive rate that is held where no other is asked for."""
