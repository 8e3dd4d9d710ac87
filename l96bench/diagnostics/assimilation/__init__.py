"""Diagnostics of models of analysis increments and of forecast systems, in cycled data assimilation."""
