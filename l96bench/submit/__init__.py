"""Artifacts in, results out: entries, the program that trains and scores them, and files of predictions."""
