"""Diagnostics of closures of the resolved model."""
