"""The least of PaddleMIX, ppdiffusers and PaddleNLP that contrib/paddlemix needs: registration files, base classes.

The real ones cannot be had whole from PyPI: paddlemix is not there, and ppdiffusers needs packages that are not.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

FILES = {
    "paddlenlp/__init__.py": "",
    "paddlenlp/transformers/__init__.py": "",
    "paddlenlp/transformers/configuration_utils.py": """
        class PretrainedConfig:
            def __init__(self, **kwargs):
                self.return_dict = kwargs.pop("return_dict", True)
                for name, value in kwargs.items():
                    setattr(self, name, value)

            def to_dict(self):
                return dict(self.__dict__)
        """,
    "paddlenlp/trainer.py": """
        import argparse
        import dataclasses


        class PdArgumentParser(argparse.ArgumentParser):
            def __init__(self, dataclass_types):
                super().__init__(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
                self.dataclass_types = dataclass_types
                for one in dataclass_types:
                    for field in dataclasses.fields(one):
                        self.add_argument(
                            f"--{field.name}", type=field.type, default=field.default, help=field.metadata["help"]
                        )

            def parse_args_into_dataclasses(self):
                found = vars(self.parse_args())
                return tuple(
                    one(**{field.name: found[field.name] for field in dataclasses.fields(one)})
                    for one in self.dataclass_types
                )
        """,
    "paddlemix/__init__.py": "",
    "paddlemix/models/__init__.py": """
        from .blip2.modeling import *
        from .cogvlm.configuration import *
        """,
    "paddlemix/models/blip2/modeling.py": "",
    "paddlemix/models/cogvlm/configuration.py": "",
    "paddlemix/models/model_utils.py": """
        import paddle


        class MixPretrainedModel(paddle.nn.Layer):
            def __init__(self, config):
                super().__init__()
                self.config = config
        """,
    "ppdiffusers/ppdiffusers/utils/__init__.py": """
        from importlib import import_module
        from types import ModuleType

        PPDIFFUSERS_SLOW_IMPORT = False


        class OptionalDependencyNotAvailable(BaseException):
            pass


        class DummyObject(type):
            pass


        def requires_backends(obj, backends):
            raise ImportError(f"{obj.__name__} requires {backends}")


        def is_paddle_available():
            return True


        is_paddlenlp_available = is_paddle_available


        class _LazyModule(ModuleType):
            def __init__(self, name, module_file, import_structure, module_spec=None):
                super().__init__(name)
                self.__file__, self.__spec__ = module_file, module_spec
                self.__path__ = [module_file.rpartition("/")[0]]
                self._modules = {one: module for module, names in import_structure.items() for one in names}

            def __getattr__(self, name):
                if name not in self._modules:
                    raise AttributeError(name)
                return getattr(import_module(f".{self._modules[name]}", self.__name__), name)
        """,
    "ppdiffusers/ppdiffusers/utils/dummy_paddle_and_paddlenlp_objects.py": """
        from . import DummyObject, requires_backends


        class AudioLDMPipeline(metaclass=DummyObject):
            _backends = ["paddle", "paddlenlp"]

            def __init__(self, *args, **kwargs):
                requires_backends(self, ["paddle", "paddlenlp"])
        """,
    "ppdiffusers/ppdiffusers/__init__.py": """
        import sys
        from typing import TYPE_CHECKING

        from .utils import _LazyModule

        _import_structure = {"pipelines": []}
        _import_structure["pipelines"].extend(
            [
                "AudioLDM2Pipeline",
                "AudioLDMPipeline",
            ]
        )

        if TYPE_CHECKING:
            from .pipelines import (
                AudioLDM2Pipeline,
                AudioLDMPipeline,
            )
        else:
            sys.modules[__name__] = _LazyModule(
                __name__, globals()["__file__"], _import_structure, module_spec=__spec__
            )
        """,
    "ppdiffusers/ppdiffusers/pipelines/__init__.py": """
        import sys
        from typing import TYPE_CHECKING

        from ..utils import _LazyModule

        _import_structure = {}
        _import_structure["audioldm"] = ["AudioLDMPipeline"]
        _import_structure["audioldm2"] = [
            "AudioLDM2Pipeline",
            "AudioLDM2ProjectionModel",
        ]
        _import_structure["blip_diffusion"] = ["BlipDiffusionPipeline"]

        if TYPE_CHECKING:
            from .audioldm import AudioLDMPipeline
            from .audioldm2 import (
                AudioLDM2Pipeline,
                AudioLDM2ProjectionModel,
            )
            from .blip_diffusion import BlipDiffusionPipeline
        else:
            sys.modules[__name__] = _LazyModule(
                __name__, globals()["__file__"], _import_structure, module_spec=__spec__
            )
        """,
    "ppdiffusers/ppdiffusers/pipelines/pipeline_utils.py": """
        from dataclasses import dataclass

        import numpy as np


        @dataclass
        class AudioPipelineOutput:
            audios: np.ndarray


        class DiffusionPipeline:
            def __init__(self):
                pass
        """,
}


def write_suite(folder: Path) -> Path:
    """Write them to `folder` as a checkout of PaddleMIX has them, PaddleNLP beside them."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), "utf-8")
    return folder
