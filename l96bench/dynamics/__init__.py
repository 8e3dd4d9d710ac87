"""Dynamics: the truth, the resolved model and closures."""
