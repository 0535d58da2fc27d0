"""Detectors of generated images: networks, their training, and checkpoints."""
