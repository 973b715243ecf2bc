"""MedMamba in PyTorch, as anyone would write it; its scan is one of scans.py."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Scan = Callable[..., Tensor]

VARIANTS = {
    "tiny": ((2, 2, 4, 2), (96, 192, 384, 768)),
    "small": ((2, 2, 8, 2), (96, 192, 384, 768)),
    "base": ((2, 2, 12, 2), (128, 256, 512, 1024)),
}
STATES = 16
CLASSES = 6
DROP_PATH = 0.1


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

    def __init__(self, channels: int, scan: Scan):
        super().__init__()
        self.scan = scan
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
        # The scan stays in float32 under autocast, as mamba_ssm's does.
        with torch.autocast(x.device.type, enabled=False):
            decay = -torch.exp(self.A_logs)
            y = self.scan(u.float(), dt.float(), decay, B.float(), C.float(), self.Ds, self.dt_projs_bias)
        return self.out_proj(self.out_norm(cross_merge(y, height, width)) * F.silu(z))


class Block(nn.Module):
    """SS-Conv-SSM. (b, h, w, c) -> the same."""

    def __init__(self, channels: int, drop_path: float, scan: Scan):
        super().__init__()
        c = channels // 2
        self.drop_path = drop_path
        self.norm = nn.LayerNorm(c)
        self.attention = SS2D(c, scan)
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
            keep = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= self.drop_path
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

    def __init__(self, variant: str, scan: Scan):
        super().__init__()
        depths, dims = VARIANTS[variant]
        self.embed = nn.Conv2d(3, dims[0], 4, stride=4)
        self.norm = nn.LayerNorm(dims[0])
        rates = iter(torch.linspace(0, DROP_PATH, sum(depths)).tolist())
        layers: list[nn.Module] = []
        for stage, (depth, channels) in enumerate(zip(depths, dims)):
            if stage > 0:
                layers.append(Merging(dims[stage - 1]))
            layers.extend(Block(channels, next(rates), scan) for _ in range(depth))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(dims[-1], CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(self.norm(self.embed(images).permute(0, 2, 3, 1))).mean((1, 2)))
