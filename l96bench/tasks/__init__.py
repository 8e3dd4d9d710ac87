"""Tasks: what models are scored on, with their data, references and registry; and the base of new families."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
