"""From YAML to tasks: what a study may contain, and what one run is. No torch.

Use it as `from petl import config`, then `config.LoRA`.
"""

from petl.config.augment import Augment
from petl.config.backbone import AST, Backbone, Patches, Shape, ViT, Wav2Vec2
from petl.config.dataset import (
    SPLITS,
    Dataset,
    FewShot,
    Ratio,
    Scale,
    SpecAugment,
    Statistics,
    Table,
)
from petl.config.front_end import FilterBank, FrontEnd, Image, Mel
from petl.config.generator import GAN, R3GAN, Flow, Generator
from petl.config.head import HeadSettings
from petl.config.methods.adapter import (
    Adapter,
    Bottleneck,
    Conformer,
    Convpass,
    Gated,
    Placement,
)
from petl.config.methods.base import Added, LayerChoice, Method
from petl.config.methods.combine import Combine
from petl.config.methods.ia3 import IA3
from petl.config.methods.lora import DoRA, LoRA, LowRank
from petl.config.methods.moa import DenseMoA, Mixture, SoftMoA
from petl.config.methods.prompt import Prefix, Prompt
from petl.config.methods.ssf import SSF
from petl.config.methods.subset import BitFit, Full, Gradual, Head, Linear
from petl.config.objective import MaskedPatches, Objective, Reconstruct
from petl.config.task import Names, Task
from petl.config.train import LaterBatches, Mixup, Train

__all__ = [
    "AST",
    "GAN",
    "IA3",
    "R3GAN",
    "SPLITS",
    "SSF",
    "Adapter",
    "Added",
    "Augment",
    "Backbone",
    "BitFit",
    "Bottleneck",
    "Combine",
    "Conformer",
    "Convpass",
    "Dataset",
    "DenseMoA",
    "DoRA",
    "FewShot",
    "FilterBank",
    "Flow",
    "FrontEnd",
    "Full",
    "Gated",
    "Generator",
    "Gradual",
    "Head",
    "HeadSettings",
    "Image",
    "LaterBatches",
    "LayerChoice",
    "Linear",
    "LoRA",
    "LowRank",
    "MaskedPatches",
    "Mel",
    "Method",
    "Mixture",
    "Mixup",
    "Names",
    "Objective",
    "Patches",
    "Placement",
    "Prefix",
    "Prompt",
    "Ratio",
    "Reconstruct",
    "Scale",
    "Shape",
    "SoftMoA",
    "SpecAugment",
    "Statistics",
    "Table",
    "Task",
    "Train",
    "ViT",
    "Wav2Vec2",
]
