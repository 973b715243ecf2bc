"""The selective scan in PyTorch: two formulations in its own operations, and mamba_ssm's CUDA kernel where it is built.

All take u, dt: (b, k, d, l), A: (k, d, n), B, C: (b, k, n, l), D, dt_bias: (k, d), and give y: (b, k, d, l) with

    delta = softplus(dt + dt_bias),  h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t],  y[t] = C[t].h[t] + D u[t].
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 16


def loop_scan(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, dt_bias: Tensor) -> Tensor:
    """A step at a time, as mamba_ssm's reference does it."""
    delta = F.softplus(dt + dt_bias[..., None])
    h = u.new_zeros(*u.shape[:3], A.shape[-1])
    ys = []
    for t in range(u.shape[-1]):
        decay = torch.exp(delta[..., t, None] * A)
        h = decay * h + (delta[..., t] * u[..., t])[..., None] * B[:, :, None, :, t]
        ys.append((h * C[:, :, None, :, t]).sum(-1))
    return torch.stack(ys, -1) + D[..., None] * u


def chunk(h: Tensor, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """The steps of one chunk after state h: their outputs, and the state after them.

    h[t] = exp(S[t]) (h + sum over s <= t of exp(-S[s]) delta[s] B[s] u[s]), where S is the running sum of delta A: it
    stays near zero over 16 steps, so that exp(-S) does not overflow.
    """
    decay = delta.cumsum(-1)[..., None, :] * A[..., None]
    added = (delta * u)[..., None, :] * B[:, :, None]
    states = torch.exp(decay) * (h[..., None] + (torch.exp(-decay) * added).cumsum(-1))
    return (states * C[:, :, None]).sum(-2), states[..., -1]


class ChunkedScan:
    """A chunk of steps at a time through cumulative sums: the fastest form in PyTorch's own operations that stays stable
    in float32. `compiled`: the chunk through torch.compile; the loop over chunks, which would be unrolled into one
    graph of thousands of operations, is Python's all the same."""

    def __init__(self, compiled: bool):
        self.chunk = torch.compile(chunk, dynamic=False) if compiled else chunk

    @torch.compiler.disable(recursive=False)
    def __call__(self, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, dt_bias: Tensor) -> Tensor:
        delta = F.softplus(dt + dt_bias[..., None])
        h = u.new_zeros(*u.shape[:3], A.shape[-1])
        ys = []
        for first in range(0, u.shape[-1], CHUNK):
            steps = slice(first, first + CHUNK)
            y, h = self.chunk(h, u[..., steps], delta[..., steps], A, B[..., steps], C[..., steps])
            ys.append(y)
        return torch.cat(ys, -1) + D[..., None] * u


class MambaScan(torch.autograd.Function):
    """mamba_ssm's kernel, called as mamba_ssm's selective_scan_interface.py calls it."""

    @staticmethod
    def forward(ctx, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, dt_bias: Tensor) -> Tensor:
        import selective_scan_cuda

        flat = [u.flatten(1, 2), dt.flatten(1, 2), A.flatten(0, 1), B, C, D.flatten(), dt_bias.flatten()]
        flat = [tensor.contiguous() for tensor in flat]
        inputs, bias = flat[:6], flat[6]
        out, states, *_ = selective_scan_cuda.fwd(*inputs, None, bias, True)
        ctx.save_for_backward(*inputs, bias, states)
        return out.view(u.shape)

    @staticmethod
    def backward(ctx, dy: Tensor):
        import selective_scan_cuda

        *inputs, bias, states = ctx.saved_tensors
        shape = dy.shape
        gradients = selective_scan_cuda.bwd(
            *inputs, None, bias, dy.flatten(1, 2).contiguous(), states, None, None, True, False
        )
        du, ddt, dA, dB, dC, dD, dbias, *_ = gradients
        return (
            du.view(shape), ddt.view(shape), dA.view(shape[1], shape[2], -1), dB, dC,
            dD.view(shape[1], shape[2]), dbias.view(shape[1], shape[2]),
        )  # fmt: skip


@torch.compiler.disable
def mamba_scan(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, dt_bias: Tensor) -> Tensor:
    return MambaScan.apply(u, dt, A, B, C, D, dt_bias)


def why_no_mamba_scan() -> str | None:
    """Why mamba_ssm's kernel cannot be called; None if it can."""
    try:
        import selective_scan_cuda  # noqa: F401
    except ImportError as error:
        return f"mamba_ssm's kernel is not built ({error}); build_selective_scan.py builds it"
    return None if torch.cuda.is_available() else "mamba_ssm's kernel needs a GPU"


SCANS = {"loop": loop_scan, "chunked": ChunkedScan(compiled=False), "mamba_ssm": mamba_scan}
