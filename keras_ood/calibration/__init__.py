"""Calibration: what a detector keeps of held-out in-distribution images, and the p-values it gives."""
