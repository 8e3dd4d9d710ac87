"""Equations as data: a small grammar, canonical expansion into monomials, fast evaluation, and regression from data."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
