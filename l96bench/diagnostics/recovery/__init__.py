"""Diagnostics of methods that find equations."""
