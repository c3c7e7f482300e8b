"""Training algorithms, as mixins over the models of the OpenMMLab libraries."""

from mmdyt.models.algorithms.complete_model_mixin import CompleteModelMixin
from mmdyt.models.algorithms.objective import DyTObjective

__all__ = ["CompleteModelMixin", "DyTObjective"]
