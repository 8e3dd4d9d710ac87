"""Estimators: models that learn a closure from X and U, and the closures that they become."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
