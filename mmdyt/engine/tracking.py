"""Weights & Biases as a visualiser backend of a run."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.visualization import WandbVisBackend as HostBackend
from mmengine.visualization.vis_backend import force_init_env

from mmdyt.registry import VISBACKENDS


@VISBACKENDS.register_module()
class WandbVisBackend(HostBackend):
    """mmengine's ``WandbVisBackend`` without its artefact of source code.

    mmengine hands every ``.py`` below the working folder to W&B, and with them
    tens of thousands of files of a ``.venv`` that stands there.

    Args:
        save_dir (str): Folder of the local files. The visualiser fills it in.
        init_kwargs (dict | None): Arguments of ``wandb.init``, such as
            ``dict(project='mmdyt', mode='offline')``. Defaults to ``None``.
        **kwargs: As mmengine's.

    Raises:
        ImportError: If ``wandb`` is not installed.
    """

    @force_init_env
    def add_config(self, config: Config, **kwargs) -> None:
        """Record the resolved config of the run.

        Args:
            config: The config.
            **kwargs: Not used.
        """
        self._wandb.config.update(config.to_dict())
