"""MedMamba in plain PyTorch, with the parameter names of the published checkpoints.

Written from the architecture (arXiv 2403.03849) and checked against the published implementation: same names, same
outputs. `scan="loop"` steps through the sequence, `scan="chunked"` takes a chunk of steps at a time.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Config:
    """Architecture of one MedMamba.

    depths: blocks per stage.  dims: channels per stage.  d_state: SSM states per channel.
    """

    num_classes: int = 6
    depths: tuple[int, ...] = (2, 2, 4, 2)
    dims: tuple[int, ...] = (96, 192, 384, 768)
    in_chans: int = 3
    patch_size: int = 4
    d_state: int = 16
    drop_path_rate: float = 0.1
    scan: str = field(default="chunked", compare=False)


# The released code and the published tables disagree on the depth of S and B:
# (2,2,8,2) / (2,2,12,2) is what the code builds, (2,2,12,2) / (2,2,16,2) is what
# reproduces the published parameter counts (22.8 M and 47.1 M at 6 classes).
VARIANTS = {
    "tiny": Config(),
    "small": Config(depths=(2, 2, 8, 2)),
    "base": Config(depths=(2, 2, 12, 2), dims=(128, 256, 512, 1024)),
    "small-paper": Config(depths=(2, 2, 12, 2)),
    "base-paper": Config(depths=(2, 2, 16, 2), dims=(128, 256, 512, 1024)),
}


def selective_scan_loop(u, delta, A, B, C, D):
    """h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t];  y[t] = C[t].h[t] + D u[t].

    u, delta: (b, k, d, l)   A: (k, d, n)   B, C: (b, k, n, l)   D: (k, d)   ->  y: (b, k, d, l)
    """
    h = u.new_zeros(*u.shape[:3], A.shape[-1])
    ys = []
    for t in range(u.shape[-1]):
        dt = delta[..., t, None]
        h = torch.exp(dt * A) * h + dt * u[..., t, None] * B[:, :, None, :, t]
        ys.append((h * C[:, :, None, :, t]).sum(-1))
    return torch.stack(ys, -1) + D[..., None] * u


def selective_scan_chunked(u, delta, A, B, C, D, chunk: int = 16):
    """As selective_scan_loop, a chunk of steps at a time through cumulative sums."""
    b, k, d, l = u.shape
    h = u.new_zeros(b, k, d, A.shape[-1])
    ys = []
    for s in range(0, l, chunk):
        dt, x = delta[..., s : s + chunk], u[..., s : s + chunk]
        Bc, Cc = B[:, :, None, :, s : s + chunk], C[:, :, None, :, s : s + chunk]
        decay = dt.cumsum(-1)[..., None, :] * A[..., None]                 # (b,k,d,n,t), <= 0
        z = torch.exp(-decay) * (dt * x)[..., None, :] * Bc                # contributions, undecayed
        states = torch.exp(decay) * (h[..., None] + z.cumsum(-1))
        ys.append((states * Cc).sum(-2))
        h = states[..., -1]
    return torch.cat(ys, -1) + D[..., None] * u


def cross_scan(x: Tensor) -> Tensor:
    """(b, d, h, w) -> (b, 4, d, h*w): row-major, column-major, and both reversed."""
    rows = x.flatten(2)
    cols = x.transpose(2, 3).flatten(2)
    two = torch.stack((rows, cols), 1)
    return torch.cat((two, two.flip(-1)), 1)


def cross_merge(y: Tensor, h: int, w: int) -> Tensor:
    """(b, 4, d, h*w) -> (b, h, w, d): undo the four orders and add."""
    two = y[:, :2] + y[:, 2:].flip(-1)
    cols = two[:, 1].unflatten(-1, (w, h)).transpose(2, 3).flatten(2)
    return (two[:, 0] + cols).unflatten(-1, (h, w)).permute(0, 2, 3, 1)


class SS2D(nn.Module):
    """Selective scan of an image in four directions.  (b, h, w, c) -> (b, h, w, c)."""

    def __init__(self, d_model: int, d_state: int, scan: str):
        super().__init__()
        d, n, r = 2 * d_model, d_state, math.ceil(d_model / 16)
        self.scan = {"loop": selective_scan_loop, "chunked": selective_scan_chunked}[scan]
        self.x_proj_weight = nn.Parameter(torch.empty(4, r + 2 * n, d).uniform_(-(d**-0.5), d**-0.5))
        self.dt_projs_weight = nn.Parameter(torch.empty(4, d, r).uniform_(-(r**-0.5), r**-0.5))
        dt = torch.exp(torch.rand(4, d) * math.log(100) + math.log(1e-3)).clamp(min=1e-4)
        self.dt_projs_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
        self.A_logs = nn.Parameter(torch.arange(1.0, n + 1).log().repeat(4 * d, 1))
        self.Ds = nn.Parameter(torch.ones(4 * d))
        self.in_proj = nn.Linear(d_model, 2 * d, bias=False)
        self.conv2d = nn.Conv2d(d, d, 3, padding=1, groups=d)
        self.out_norm = nn.LayerNorm(d)
        self.out_proj = nn.Linear(d, d_model, bias=False)
        self.split = (r, n, n)

    def forward(self, x: Tensor) -> Tensor:
        _, h, w, _ = x.shape
        x, z = self.in_proj(x).chunk(2, -1)
        xs = cross_scan(F.silu(self.conv2d(x.permute(0, 3, 1, 2))))
        k, d = 4, xs.shape[2]
        dt, B, C = torch.einsum("bkdl,kcd->bkcl", xs, self.x_proj_weight).split(self.split, 2)
        dt = torch.einsum("bkrl,kdr->bkdl", dt, self.dt_projs_weight)
        delta = F.softplus(dt + self.dt_projs_bias[..., None])
        A = -torch.exp(self.A_logs).unflatten(0, (k, d))
        y = self.scan(xs, delta, A, B, C, self.Ds.unflatten(0, (k, d)))
        return self.out_proj(self.out_norm(cross_merge(y, h, w)) * F.silu(z))


class DropPath(nn.Module):
    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = torch.rand(x.shape[0], *[1] * (x.ndim - 1), dtype=x.dtype, device=x.device) >= self.rate
        return x * keep / (1 - self.rate)


class SSConvSSM(nn.Module):
    """The hybrid block: half of the channels through convolutions, half through SS2D,
    concatenated, shuffled in two groups, plus the input.  (b, h, w, c) -> (b, h, w, c)."""

    def __init__(self, dim: int, d_state: int, drop_path: float, scan: str):
        super().__init__()
        c = dim // 2
        self.ln_1 = nn.LayerNorm(c)
        self.self_attention = SS2D(c, d_state, scan)
        self.drop_path = DropPath(drop_path)
        self.conv33conv33conv11 = nn.Sequential(
            nn.BatchNorm2d(c),
            nn.Conv2d(c, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU(),
            nn.Conv2d(c, c, 1), nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, -1)
        right = self.drop_path(self.self_attention(self.ln_1(right)))
        left = self.conv33conv33conv11(left.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return torch.stack((left, right), -1).flatten(-2) + x


class PatchEmbed(nn.Module):
    def __init__(self, in_chans: int, dim: int, patch: int):
        super().__init__()
        self.proj = nn.Conv2d(in_chans, dim, patch, stride=patch)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class PatchMerging(nn.Module):
    """(b, h, w, c) -> (b, h//2, w//2, 2c); an odd last row or column is dropped."""

    def __init__(self, dim: int):
        super().__init__()
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        x = x[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c)
        return self.reduction(self.norm(x.permute(0, 1, 3, 4, 2, 5).flatten(3)))


class Stage(nn.Module):
    def __init__(self, dim, depth, d_state, rates, downsample, scan):
        super().__init__()
        self.blocks = nn.ModuleList(SSConvSSM(dim, d_state, rates[i], scan) for i in range(depth))
        self.downsample = PatchMerging(dim) if downsample else None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.downsample(x) if self.downsample else x


class MedMamba(nn.Module):
    """(b, in_chans, h, w) images -> (b, num_classes) logits."""

    def __init__(self, config: Config = VARIANTS["tiny"]):
        super().__init__()
        c = config
        self.config = c
        self.patch_embed = PatchEmbed(c.in_chans, c.dims[0], c.patch_size)
        rates = torch.linspace(0, c.drop_path_rate, sum(c.depths)).tolist()
        self.layers = nn.ModuleList()
        for i, (depth, dim) in enumerate(zip(c.depths, c.dims)):
            first = sum(c.depths[:i])
            last = i == len(c.depths) - 1
            self.layers.append(Stage(dim, depth, c.d_state, rates[first : first + depth], not last, c.scan))
        self.head = nn.Linear(c.dims[-1], c.num_classes)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.02)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
            elif isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x)
        for stage in self.layers:
            x = stage(x)
        return self.head(x.mean((1, 2)))
