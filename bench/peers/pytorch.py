"""PyTorch, timed: MedMamba or what a user would take instead, a step of inference or training, or single kernels.

    python3 bench/peers/pytorch.py --task training --batch 8
    python3 bench/peers/pytorch.py --task kernels --kernels conv3x3,scan --batch 16
    python3 bench/peers/pytorch.py --device cuda --scan mamba_ssm --precision bf16 --mode compile --batch 128

prints one JSON object: seconds of each repeat and peak memory, or the median seconds of each kernel. mamba_ssm's scan
is CUDA only, so that without a GPU MedMamba's scan is the fastest form in PyTorch's own operations. Precision is as
medmamba's: `tf32` and `bf16` are those of products and convolutions, `bf16` by autocast.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys

try:
    import torch
except ImportError:
    sys.exit("PyTorch is not installed for this Python: pip install torch")

from torch import Tensor, nn
from torch.nn import functional as F

import kernels
from measuring import Step, measure, measure_kernel, peak_bytes
from network import CLASSES, VARIANTS, MedMamba
from scans import SCANS, ChunkedScan, why_no_mamba_scan

# timm's names of what is as large as MedMamba-T or what people begin with.
OTHERS = {"convnext_nano": "convnext_nano", "resnet50": "resnet50", "swin_tiny": "swin_tiny_patch4_window7_224"}


def network(options: argparse.Namespace) -> nn.Module:
    if options.model in OTHERS:
        try:
            import timm
        except ImportError:
            sys.exit("timm is not installed for this Python: pip install timm")
        return timm.create_model(OTHERS[options.model], num_classes=CLASSES)
    compiled = options.mode == "compile" and options.scan == "chunked"
    return MedMamba(options.variant, ChunkedScan(compiled=True) if compiled else SCANS[options.scan])


def step_of(options: argparse.Namespace, device: torch.device) -> Step:
    model = network(options).to(device, memory_format=torch.channels_last)
    size = (options.batch, 3, options.image_size, options.image_size)
    images = torch.randn(size, device=device).to(memory_format=torch.channels_last)
    run = torch.compile(model, dynamic=False) if options.mode == "compile" else model
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16")
    return (training if options.task == "training" else inference)(model, run, images, autocast)


def inference(model: nn.Module, run, images: Tensor, autocast) -> Step:
    model.eval()

    def step() -> None:
        with torch.inference_mode(), autocast:
            run(images)

    return step


def training(model: nn.Module, run, images: Tensor, autocast) -> Step:
    model.train()
    labels = torch.arange(images.shape[0], device=images.device) % CLASSES
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        with autocast:
            loss = F.cross_entropy(run(images), labels)
        loss.backward()
        optimizer.step()

    return step


def measure_network(options: argparse.Namespace, device: torch.device) -> dict:
    step = step_of(options, device)
    return {
        "seconds": measure(step, device, options.warmup, options.repeats, options.budget),
        "peakBytes": peak_bytes(device),
    }


def measure_kernels(options: argparse.Namespace, device: torch.device) -> dict:
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    setting = kernels.Setting(device, dtype, options.batch, options.scan)
    return {
        "rows": [
            {"name": name, "shape": shape, "seconds": measure_kernel(step, device, options.kernel_seconds)}
            for name, shape, step in kernels.rows(options.kernels.split(","), options.image_size, setting)
        ]
    }


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times PyTorch: one task, one JSON object.")
    parser.add_argument("--task", choices=["inference", "training", "kernels"], default="inference")
    parser.add_argument("--model", choices=["medmamba", *OTHERS], default="medmamba")
    parser.add_argument("--kernels", default=",".join(kernels.GROUPS), help="groups, with commas between")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--variant", choices=list(VARIANTS), default="tiny")
    parser.add_argument("--threads", type=int, default=2, help="of the CPU")
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--budget", type=float, default=40, help="seconds after which two repeats are enough")
    parser.add_argument("--kernel-seconds", type=float, default=0.2, help="for each kernel")
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--precision", choices=["float32", "tf32", "bf16"], default="float32")
    parser.add_argument("--scan", choices=list(SCANS), default="chunked")
    options = parser.parse_args()
    if options.scan == "mamba_ssm" and (why := why_no_mamba_scan()):
        sys.exit(why)
    return options


def main() -> None:
    options = parsed()
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high" if options.precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = options.precision == "tf32"
    torch.backends.cudnn.benchmark = True
    # A stage is a shape of its own, and so is its last chunk.
    torch._dynamo.config.recompile_limit = 64
    measured = (measure_kernels if options.task == "kernels" else measure_network)(options, device)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    report = {
        "name": f"PyTorch {torch.__version__}, Python {platform.python_version()}",
        "gpu": gpu,
        "cuda": torch.version.cuda,
        **vars(options),
        **measured,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
