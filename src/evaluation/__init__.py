"""Figures from tables of scores: average precision, accuracy, calibration and their intervals."""
