"""PyTorch's kernels at the shapes of MedMamba's stages, under the names and shapes of `medmamba bench`'s rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from measuring import Step
from network import STATES, VARIANTS, cross_merge, cross_scan
from scans import SCANS


@dataclass(frozen=True)
class Stage:
    side: int
    channels: int

    @property
    def half(self) -> int:
        return self.channels // 2

    @property
    def rank(self) -> int:
        return math.ceil(self.half / 16)


@dataclass(frozen=True)
class Setting:
    """Where and in what numbers: `dtype` of products and norms; the scan is float32."""

    device: torch.device
    dtype: torch.dtype
    batch: int
    scan: str

    def random(self, *shape: int) -> Tensor:
        return torch.randn(shape, device=self.device, dtype=self.dtype)


Row = tuple[str, str, Step]


def stages(image_size: int) -> list[Stage]:
    side = image_size // 4
    return [Stage(side // 2**i, channels) for i, channels in enumerate(VARIANTS["tiny"][1])]


def rows(groups: list[str], image_size: int, setting: Setting) -> Iterator[Row]:
    for group in groups:
        for stage in stages(image_size):
            yield from GROUPS[group](stage, setting)


def convolutions(stage: Stage, setting: Setting) -> Iterator[Row]:
    c, side = stage.half, stage.side
    channels_last = torch.channels_last
    x = setting.random(setting.batch, c, side, side).to(memory_format=channels_last)
    dy = setting.random(setting.batch, c, side, side).to(memory_format=channels_last)
    weight = (setting.random(c, c, 3, 3) / math.sqrt(9 * c)).to(memory_format=channels_last)
    bias = setting.random(c)
    ones = [1, 1]
    shape = f"{side}x{side}x{c}"

    def backward(*mask: bool) -> Step:
        return lambda: torch.ops.aten.convolution_backward(
            dy, x, weight, None, ones, ones, ones, False, [0, 0], 1, list(mask)
        )

    yield "conv3x3 forward", shape, lambda: F.conv2d(x, weight, bias, padding=1)
    yield "conv3x3 backward data", shape, backward(True, False, False)
    yield "conv3x3 backward weight", shape, backward(False, True, False)


def products(stage: Stage, setting: Setting) -> Iterator[Row]:
    side, c, D = stage.side, stage.half, stage.channels
    sizes = {
        "in_proj": (c, 2 * D),
        "x_proj": (D, 4 * (stage.rank + 2 * STATES)),
        "out_proj": (D, c),
    }
    for name, (inputs, outputs) in sizes.items():
        count = setting.batch * side * side
        x, dy = setting.random(count, inputs), setting.random(count, outputs)
        weight = setting.random(outputs, inputs)
        shape = f"{side}x{side} {inputs}>{outputs}"
        yield f"{name} forward", shape, lambda x=x, weight=weight: F.linear(x, weight)
        yield f"{name} backward data", shape, lambda dy=dy, weight=weight: dy @ weight
        yield f"{name} backward weight", shape, lambda dy=dy, x=x: dy.T @ x


def layer_norms(stage: Stage, setting: Setting) -> Iterator[Row]:
    side, c = stage.side, stage.half
    x = setting.random(setting.batch * side * side, c)
    dy = torch.randn_like(x)
    weight, bias = setting.random(c), setting.random(c)
    _, mean, deviation = torch.native_layer_norm(x, [c], weight, bias, 1e-5)
    shape = f"{side}x{side}x{c}"
    yield "layer norm forward", shape, lambda: F.layer_norm(x, [c], weight, bias)
    yield (
        "layer norm backward",
        shape,
        lambda: torch.ops.aten.native_layer_norm_backward(dy, x, [c], mean, deviation, weight, bias, [True] * 3),
    )


def scans(stage: Stage, setting: Setting) -> Iterator[Row]:
    """All four directions from the projected (dt, B, C): what scan4 does in one call."""
    batch, side, D, rank = setting.batch, stage.side, stage.channels, stage.rank
    length = side * side
    kernel = SCANS[setting.scan]

    def leaf(*shape: int, deviation: float = 1, mean: float = 0) -> Tensor:
        return (deviation * torch.randn(shape, device=setting.device) + mean).requires_grad_()

    u = leaf(batch, D, side, side)
    projected = leaf(batch, 4, rank + 2 * STATES, length)
    dt_weight, dt_bias = leaf(4, D, rank, deviation=0.5 * rank**-0.5), leaf(4, D, deviation=0.5, mean=-4)
    A_log, skip = leaf(4, D, STATES, deviation=0.7, mean=1.9), leaf(4, D)

    def forward() -> Tensor:
        dt, B, C = projected.split((rank, STATES, STATES), 2)
        dt = torch.einsum("bkrl,kdr->bkdl", dt, dt_weight)
        return cross_merge(kernel(cross_scan(u), dt, -torch.exp(A_log), B, C, skip, dt_bias), side, side)

    def inference() -> Tensor:
        with torch.no_grad():
            return forward()

    def both() -> tuple[Tensor, ...]:
        y = forward()
        return torch.autograd.grad(y, [u, projected, dt_weight, dt_bias, A_log, skip], torch.ones_like(y))

    shape = f"{side}x{side}x{D}"
    yield "scan4 forward", shape, inference
    yield "scan4 forward and backward", shape, both


def selective_scans(stage: Stage, setting: Setting) -> Iterator[Row]:
    """mamba_ssm's arguments: (b, d, l) without directions, one group of B and C."""
    batch, D, length = setting.batch, stage.channels, stage.side**2
    kernel = SCANS[setting.scan]
    u, dt = (torch.randn(batch, 1, D, length, device=setting.device).requires_grad_() for _ in range(2))
    A = (-torch.rand(1, D, STATES, device=setting.device) * 16).requires_grad_()
    B, C = (torch.randn(batch, 1, STATES, length, device=setting.device).requires_grad_() for _ in range(2))
    skip = torch.randn(1, D, device=setting.device).requires_grad_()
    bias = (torch.randn(1, D, device=setting.device) / 2 - 4).requires_grad_()
    leaves = [u, dt, A, B, C, skip, bias]

    def inference() -> Tensor:
        with torch.no_grad():
            return kernel(*leaves)

    def both() -> tuple[Tensor, ...]:
        y = kernel(*leaves)
        return torch.autograd.grad(y, leaves, torch.ones_like(y))

    shape = f"{D}x{length}"
    yield "selective scan forward", shape, inference
    yield "selective scan forward and backward", shape, both


def largest_product(stage: Stage, setting: Setting) -> Iterator[Row]:
    """The product that `medmamba bench` takes for its limit; with the first stage, because one is enough."""
    if stage.channels != VARIANTS["tiny"][1][0]:
        return
    side = 8192 if setting.device.type == "cuda" else 1536
    a = setting.random(side, side)
    yield "product", f"{side}x{side}x{side}", lambda: a @ a


GROUPS = {
    "product": largest_product,
    "conv3x3": convolutions,
    "linear": products,
    "layer_norm": layer_norms,
    "scan": scans,
    "selective_scan": selective_scans,
}
