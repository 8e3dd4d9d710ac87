"""How the systems move: truth, resolved model, closures."""
