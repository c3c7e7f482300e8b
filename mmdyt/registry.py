"""Registries of mmdyt: children of mmengine's roots in the scope ``mmdyt``.

A config reaches everything here through a prefixed type, such as
``dict(type='mmdyt.DyTViT')``; the prefix alone imports the modules listed as
locations, whatever ``default_scope`` the config has. Inside mmdyt nothing is
built from an unprefixed type: mmengine redirects ``Registry.build`` to the
registry of the default scope, even when it is called on ours.

The integrations with mmsegmentation and mmaction2 are not listed: a machine
without them must not import them. Their ``_base_`` configs name them in
``custom_imports``.
"""

from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import OPTIM_WRAPPERS as ROOT_OPTIM_WRAPPERS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import VISBACKENDS as ROOT_VISBACKENDS
from mmengine.registry import Registry

SCOPE = "mmdyt"

MODELS = Registry(
    "model",
    parent=ROOT_MODELS,
    scope=SCOPE,
    locations=["mmdyt.models", "mmdyt.integrations.mmpretrain"],
)
HOOKS = Registry("hook", parent=ROOT_HOOKS, scope=SCOPE, locations=["mmdyt.engine.hooks"])
OPTIM_WRAPPERS = Registry(
    "optimizer wrapper",
    parent=ROOT_OPTIM_WRAPPERS,
    scope=SCOPE,
    locations=["mmdyt.engine.optim_wrappers"],
)
METRICS = Registry("metric", parent=ROOT_METRICS, scope=SCOPE, locations=["mmdyt.evaluation"])
DATASETS = Registry("dataset", parent=ROOT_DATASETS, scope=SCOPE, locations=["mmdyt.datasets"])
TRANSFORMS = Registry(
    "transform", parent=ROOT_TRANSFORMS, scope=SCOPE, locations=["mmdyt.datasets"]
)
VISBACKENDS = Registry(
    "vis_backend", parent=ROOT_VISBACKENDS, scope=SCOPE, locations=["mmdyt.engine.tracking"]
)
