"""MedMamba in plain PyTorch, timed on the CPU: what its users run where mamba_ssm is not to be had.

mamba_ssm's scan is CUDA only, so the scan here is the fastest form of it in PyTorch's own operations that stays
stable in float32: a chunk of steps at a time through cumulative sums. The rest is what anyone would write.

    python3 bench/peers/pytorch.py --task training --batch 8

prints one JSON object: seconds of each repeat and peak memory of the process.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import resource
import sys
import time

try:
    import torch
except ImportError:
    sys.exit("PyTorch is not installed for this Python: pip install torch")

from torch import Tensor, nn
from torch.nn import functional as F

VARIANTS = {
    "tiny": ((2, 2, 4, 2), (96, 192, 384, 768)),
    "small": ((2, 2, 8, 2), (96, 192, 384, 768)),
    "base": ((2, 2, 12, 2), (128, 256, 512, 1024)),
}
STATES = 16
CLASSES = 6
DROP_PATH = 0.1


# ---- the network -------------------------------------------------------------------------------------------


def selective_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, chunk: int = 16) -> Tensor:
    """h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t];  y[t] = C[t].h[t] + D u[t].

    u, delta: (b, k, d, l)   A: (k, d, n)   B, C: (b, k, n, l)   D: (k, d)   ->  y: (b, k, d, l)

    Within a chunk, h[t] = exp(S[t]) (h[before] + sum over s <= t of exp(-S[s]) delta[s] B[s] u[s]), where S is the
    running sum of delta A: it stays near zero over 16 steps, so that exp(-S) does not overflow.
    """
    h = u.new_zeros(*u.shape[:3], A.shape[-1])
    ys = []
    for first in range(0, u.shape[-1], chunk):
        steps = slice(first, first + chunk)
        decay = delta[..., steps].cumsum(-1)[..., None, :] * A[..., None]
        added = (delta[..., steps] * u[..., steps])[..., None, :] * B[:, :, None, :, steps]
        states = torch.exp(decay) * (h[..., None] + (torch.exp(-decay) * added).cumsum(-1))
        ys.append((states * C[:, :, None, :, steps]).sum(-2))
        h = states[..., -1]
    return torch.cat(ys, -1) + D[..., None] * u


def cross_scan(x: Tensor) -> Tensor:
    """(b, d, h, w) -> (b, 4, d, h w): by rows, by columns, and both reversed."""
    two = torch.stack((x.flatten(2), x.transpose(2, 3).flatten(2)), 1)
    return torch.cat((two, two.flip(-1)), 1)


def cross_merge(y: Tensor, height: int, width: int) -> Tensor:
    """(b, 4, d, h w) -> (b, h, w, d): each direction back to rows, then their sum."""
    two = y[:, :2] + y[:, 2:].flip(-1)
    columns = two[:, 1].unflatten(-1, (width, height)).transpose(2, 3).flatten(2)
    return (two[:, 0] + columns).unflatten(-1, (height, width)).permute(0, 2, 3, 1)


class SS2D(nn.Module):
    """(b, h, w, c) -> the same."""

    def __init__(self, channels: int):
        super().__init__()
        inner, rank = 2 * channels, math.ceil(channels / 16)
        self.split = (rank, STATES, STATES)
        self.x_proj_weight = nn.Parameter(torch.empty(4, rank + 2 * STATES, inner).uniform_(-(inner**-0.5), inner**-0.5))
        self.dt_projs_weight = nn.Parameter(torch.empty(4, inner, rank).uniform_(-(rank**-0.5), rank**-0.5))
        delta = torch.exp(torch.rand(4, inner) * math.log(100) + math.log(1e-3))
        self.dt_projs_bias = nn.Parameter(delta + torch.log(-torch.expm1(-delta)))
        self.A_logs = nn.Parameter(torch.arange(1.0, STATES + 1).log().expand(4, inner, STATES).clone())
        self.Ds = nn.Parameter(torch.ones(4, inner))
        self.in_proj = nn.Linear(channels, 2 * inner, bias=False)
        self.conv2d = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        x, z = self.in_proj(x).chunk(2, -1)
        u = cross_scan(F.silu(self.conv2d(x.permute(0, 3, 1, 2))))
        dt, B, C = torch.einsum("bkdl,kcd->bkcl", u, self.x_proj_weight).split(self.split, 2)
        dt = torch.einsum("bkrl,kdr->bkdl", dt, self.dt_projs_weight)
        delta = F.softplus(dt + self.dt_projs_bias[..., None])
        # The scan stays in float32 under autocast, as mamba_ssm's does.
        with torch.autocast("cpu", enabled=False):
            y = selective_scan(u.float(), delta.float(), -torch.exp(self.A_logs), B.float(), C.float(), self.Ds)
        return self.out_proj(self.out_norm(cross_merge(y, height, width)) * F.silu(z))


class Block(nn.Module):
    """SS-Conv-SSM. (b, h, w, c) -> the same."""

    def __init__(self, channels: int, drop_path: float):
        super().__init__()
        c = channels // 2
        self.drop_path = drop_path
        self.norm = nn.LayerNorm(c)
        self.attention = SS2D(c)
        self.branch = nn.Sequential(
            nn.BatchNorm2d(c),
            nn.Conv2d(c, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU(),
            nn.Conv2d(c, c, 1), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, -1)
        right = self.attention(self.norm(right))
        if self.training and self.drop_path > 0:
            keep = torch.rand(x.shape[0], 1, 1, 1) >= self.drop_path
            right = right * keep / (1 - self.drop_path)
        left = self.branch(left.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return torch.stack((left, right), -1).flatten(-2) + x


class Merging(nn.Module):
    """(b, h, w, c) -> (b, h / 2, w / 2, 2 c)."""

    def __init__(self, channels: int):
        super().__init__()
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(4 * channels)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        x = x[:, : height // 2 * 2, : width // 2 * 2].reshape(batch, height // 2, 2, width // 2, 2, channels)
        return self.reduction(self.norm(x.permute(0, 1, 3, 4, 2, 5).flatten(3)))


class MedMamba(nn.Module):
    """(b, 3, h, w) -> (b, classes)."""

    def __init__(self, variant: str):
        super().__init__()
        depths, dims = VARIANTS[variant]
        self.embed = nn.Conv2d(3, dims[0], 4, stride=4)
        self.norm = nn.LayerNorm(dims[0])
        rates = iter(torch.linspace(0, DROP_PATH, sum(depths)).tolist())
        layers: list[nn.Module] = []
        for stage, (depth, channels) in enumerate(zip(depths, dims)):
            if stage > 0:
                layers.append(Merging(dims[stage - 1]))
            layers.extend(Block(channels, next(rates)) for _ in range(depth))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(dims[-1], CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(self.norm(self.embed(images).permute(0, 2, 3, 1))).mean((1, 2)))


# ---- the measurement ---------------------------------------------------------------------------------------


def inference(model: nn.Module, images: Tensor, autocast: torch.dtype | None):
    model.eval()

    def step() -> None:
        with torch.inference_mode(), torch.autocast("cpu", autocast or torch.bfloat16, enabled=autocast is not None):
            model(images)

    return step


def training(model: nn.Module, images: Tensor, autocast: torch.dtype | None):
    model.train()
    labels = torch.arange(images.shape[0]) % CLASSES
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", autocast or torch.bfloat16, enabled=autocast is not None):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

    return step


def measure(step, warmup: int, repeats: int, budget: float) -> list[float]:
    """Seconds of each repeat: as many as asked for and more until three seconds are over; once `budget` seconds are,
    two are enough."""
    begin = time.perf_counter()
    for _ in range(warmup):
        step()
    seconds: list[float] = []
    while True:
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
        elapsed = time.perf_counter() - begin
        enough = len(seconds) >= repeats and elapsed >= 3
        if enough or (len(seconds) >= 2 and elapsed >= budget):
            return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Times MedMamba in plain PyTorch on the CPU.")
    parser.add_argument("--task", choices=["inference", "training"], default="inference")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--variant", choices=list(VARIANTS), default="tiny")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--budget", type=float, default=40, help="seconds after which two repeats are enough")
    parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
    parser.add_argument("--autocast", choices=["bfloat16"], help="precision of products and convolutions")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = MedMamba(options.variant)
    run = torch.compile(model) if options.mode == "compile" else model
    images = torch.randn(options.batch, 3, options.image_size, options.image_size)
    autocast = torch.bfloat16 if options.autocast else None
    step = (training if options.task == "training" else inference)(run, images, autocast)
    seconds = measure(step, options.warmup, options.repeats, options.budget)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = {
        "name": f"PyTorch {torch.__version__}, Python {platform.python_version()}",
        **vars(options),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": seconds,
        "peakBytes": peak if sys.platform == "darwin" else 1024 * peak,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
