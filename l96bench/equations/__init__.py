"""What equations say: a small grammar, its canonical expansion into monomials, and fast evaluation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
