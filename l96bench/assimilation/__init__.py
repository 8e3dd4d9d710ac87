"""Data assimilation: forecast models, observations, ensemble filters, and the cycle that joins them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
