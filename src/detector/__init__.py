"""Detectors of generated images: training, evaluation, and honest numbers."""
