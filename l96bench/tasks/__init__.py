"""Tasks: the questions, their data and miniatures, the registry, and what a family of one's own is made of."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
