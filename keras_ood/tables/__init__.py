"""Rows on disk: results of measurements, scores of images."""
