"""Plain training."""

from __future__ import annotations

from typing import ClassVar

from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation


@MITIGATIONS.register("erm")
class EmpiricalRiskMinimisation(AbstractMitigation):
    """Plain training: the mean loss of the batch, no mitigation."""

    searchable: ClassVar[bool] = True
