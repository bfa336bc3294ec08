"""Training: from a recipe or from one's own images to a calibrated, measured preset."""
