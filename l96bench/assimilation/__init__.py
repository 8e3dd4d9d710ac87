"""Filters and cycles: ensemble and variational data assimilation with any forecast model of the Lorenz-96 family."""
