"""Runs beside one another: their folders, and the jobs of a sweep."""
