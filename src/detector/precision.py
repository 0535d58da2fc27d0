"""Numerical precision, and what the machine supports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from genspot.common.errors import GenspotError
from genspot.detector.settings import PRECISIONS, SHORT_PRECISIONS

if TYPE_CHECKING:
    import pytorch_lightning as pl


def resolve_precision(choice: object, accelerator: str, wrong_gradient: str | None = None) -> str:
    """Return Lightning's name of the precision to train in.

    "auto" is bfloat16 on CUDA devices that multiply it and on CPUs with AMX, float32 elsewhere.

    Args:
        choice: "auto", or one of `genspot.detector.settings.PRECISIONS`.
        accelerator: Lightning's accelerator, "auto" included.
        wrong_gradient: see `genspot.detector.dry_run.find_wrong_bfloat16_gradient`.

    Raises:
        GenspotError: the weights would not stay in float32, or the machine cannot do it.
    """
    name = SHORT_PRECISIONS.get(str(choice), str(choice))
    if name not in ("auto", *PRECISIONS):
        raise GenspotError(
            f"trainer.precision={choice}: choose auto, {', '.join(PRECISIONS)} (GPUs alone)"
        )
    on_gpu = accelerator != "cpu" and (
        torch.cuda.is_available() or torch.backends.mps.is_available()
    )
    if on_gpu:
        return _fast_gpu_precision() if name == "auto" else name
    if name == "16-mixed":
        raise GenspotError(
            "trainer.precision=16-mixed needs a GPU: on a CPU, choose auto, 32-true or bf16-mixed"
        )
    if name == "bf16-mixed" and wrong_gradient:
        raise GenspotError(
            f"trainer.precision=bf16-mixed: the images are so small that PyTorch computes a wrong "
            f"gradient of {wrong_gradient} in bfloat16 on a CPU; choose 32-true, or a larger "
            "model.train.crop"
        )
    if name != "auto":
        return name
    # AVX512-BF16 alone made the steps of some CPUs faster and those of others slower than float32
    # (benchmarks/README.md); no capability tells them apart.
    fast = torch.cpu.get_capabilities().get("amx_bf16")
    return "bf16-mixed" if fast and not wrong_gradient else "32-true"


def _fast_gpu_precision() -> str:
    cuda = torch.cuda.is_available()
    # Apple's GPUs were not measured.
    fast = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if fast else "32-true"


def exact_float32() -> None:
    """Switch off TF32, which rounds the factors of float32 products on CUDA devices."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def check_processes(trainer: pl.Trainer, sync_batchnorm: bool) -> None:
    """Check what would only fail after all processes have started.

    Raises:
        GenspotError: torchrun or SLURM started another number of processes than `trainer`
            expects, or batch norms are to be synchronised on CPUs.
    """
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment  # slow
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    for launched in (TorchElasticEnvironment, SLURMEnvironment):  # Lightning's own order
        if not launched.detect():
            continue
        try:
            launched().validate_settings(trainer.num_devices, trainer.num_nodes)
        except (ValueError, RuntimeError) as error:
            raise GenspotError(
                f"{error} trainer.devices (processes a machine) and trainer.num_nodes (machines) "
                "must say what was started; trainer=ddp or ddp_cpu"
            ) from error
        break
    if sync_batchnorm and trainer.world_size > 1 and trainer.strategy.root_device.type == "cpu":
        raise GenspotError(
            "trainer.sync_batchnorm=true: PyTorch's SyncBatchNorm needs GPUs; leave it false on "
            "CPUs, where each process normalises over its own share"
        )
