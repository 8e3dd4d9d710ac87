"""Seasons: test data from a secret that is revealed when all submissions are in."""
