from .figures import BLACK, BLUE, GREEN, GREY, PALETTE, VERMILION, bin_edges, figure, png, style
from .importance import Importance, by_offset, instant_forcing, jacobian, locality, offsets_of, permutation_importance

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "GREY",
    "PALETTE",
    "VERMILION",
    "Importance",
    "bin_edges",
    "by_offset",
    "figure",
    "instant_forcing",
    "jacobian",
    "locality",
    "offsets_of",
    "permutation_importance",
    "png",
    "style",
]
