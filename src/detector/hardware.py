"""What the machine can do."""

from __future__ import annotations

import torch
from omegaconf import DictConfig


def precision(choice: str, accelerator: str) -> str:
    """Lightning's name of the precision to train in; "auto" is bfloat16 only where it is fast.

    Args:
        choice: "auto", or a precision of Lightning, which is returned as it is.
        accelerator: Lightning's accelerator, "auto" included.
    """
    if choice != "auto":
        return choice
    if torch.cuda.is_available() and accelerator != "cpu":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif torch.backends.mps.is_available() and accelerator != "cpu":
        fast = False  # not measured
    else:
        cpu = torch.cpu.get_capabilities()
        fast = bool(cpu.get("amx_bf16") or cpu.get("avx512_bf16"))
    return "bf16-mixed" if fast else "32-true"


def describe(cfg: DictConfig, precision: str) -> str:
    """What a training step is made of, in words."""
    words = [
        f"precision {precision}",
        "channels last" if cfg.trainer.channels_last else "channels first",
        f"{'fused ' if cfg.schedule.optimizer.get('fused') else ''}"
        f"{cfg.schedule.optimizer._target_.rpartition('.')[2]}",
        "compiled" if cfg.trainer.compile else "not compiled",
    ]
    return ", ".join(words)


def exact_float32() -> None:
    """Keep CUDA from rounding the factors of float32 products to TF32 in evaluation."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
