"""Plain training."""

from __future__ import annotations

from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation


@MITIGATIONS.register("erm")
class EmpiricalRiskMinimisation(AbstractMitigation):
    """Plain training: the mean loss of the batch, no mitigation."""
