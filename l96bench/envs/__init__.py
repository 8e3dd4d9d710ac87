"""Gymnasium environments of the task families, trained policies as closures, and training with stable-baselines3."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
