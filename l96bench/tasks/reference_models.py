"""Descriptions of the models at the ends of the tasks' scales."""

from __future__ import annotations

from l96bench.results.record import ModelInfo
from l96bench.tasks.parts import COMMAND

UNCORRECTED = ModelInfo(
    name="no correction (reference)", kind="reference", inputs="none", parameters=0, command=COMMAND
)
TRUTH = ModelInfo(
    name="perfect model",
    kind="reference",
    inputs="X and Y",
    command=COMMAND,
    description="The two-scale truth model as forecast model, in the same filter.",
)

EMPTY_EQUATION = ModelInfo(
    name="empty equation (reference)", kind="reference", inputs="none", parameters=0, command=COMMAND
)
TEXTBOOK = ModelInfo(
    name="textbook equation (reference)",
    kind="reference",
    inputs="none",
    parameters=0,
    command=COMMAND,
    source="Lorenz 1996",
    description="The right terms with the textbook's coefficients: what can be recalled.",
)
TRUE_EQUATIONS = ModelInfo(
    name="true equations",
    kind="reference",
    inputs="the instance",
    command=COMMAND,
    description="Where Y is hidden: the resolved terms with the coefficients that fit the full tendency best.",
)

BARE = ModelInfo(name="no closure (reference)", kind="reference", inputs="none", parameters=0, command=COMMAND)
PERFECT_PHYSICS = ModelInfo(
    name="perfect physics",
    kind="reference",
    inputs="X and its past",
    command=COMMAND,
    description="The truth model started from the exact X and from fast variables that only the past X explains; its "
    "climate is a second sample of the truth.",
)
