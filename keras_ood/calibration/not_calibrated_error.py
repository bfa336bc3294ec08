"""What is raised where a calibration is missing."""


class NotCalibratedError(RuntimeError):
    """A p-value, a threshold or a fitted score was asked of a detector that has not been calibrated for it."""
