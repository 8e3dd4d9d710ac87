from .assimilation.subject import AssimilationSubject
from .checks import check_diagnostic, example_subjects
from .closure.importance import (
    Importance,
    by_offset,
    instant_forcing,
    jacobian,
    locality,
    offsets_of,
    permutation_importance,
)
from .closure.subject import ClosureSubject
from .figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PALETTE,
    VERMILION,
    band,
    bin_edges,
    figure,
    integer_ticks,
    plain,
    png,
    style,
)
from .recovery.subject import RecoverySubject
from .registry import (
    Diagnostic,
    LeftOutError,
    Section,
    diagnose,
    find_diagnostic,
    list_diagnostics,
    register_diagnostic,
)
from .report import make_report, write_report
from .subject import Subject
from .training import subject_of, train

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "GREY",
    "PALETTE",
    "VERMILION",
    "AssimilationSubject",
    "ClosureSubject",
    "Diagnostic",
    "Importance",
    "LeftOutError",
    "RecoverySubject",
    "Section",
    "Subject",
    "band",
    "bin_edges",
    "by_offset",
    "check_diagnostic",
    "diagnose",
    "example_subjects",
    "figure",
    "find_diagnostic",
    "instant_forcing",
    "integer_ticks",
    "jacobian",
    "list_diagnostics",
    "locality",
    "make_report",
    "offsets_of",
    "permutation_importance",
    "plain",
    "png",
    "register_diagnostic",
    "style",
    "subject_of",
    "train",
    "write_report",
]
