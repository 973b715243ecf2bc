"""Timing and memory of PyTorch on a CPU or a GPU, as the other side of medmamba.mjs measures its own."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from statistics import median

import torch

Step = Callable[[], object]


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(step: Step, device: torch.device, warmup: int, repeats: int, budget: float) -> list[float]:
    """Seconds of each repeat: after warming up, as many as asked for and more until three seconds are over; once
    `budget` seconds are, two are enough."""
    for _ in range(warmup):
        step()
    synchronize(device)
    begin = time.perf_counter()
    seconds: list[float] = []
    while True:
        start = time.perf_counter()
        step()
        synchronize(device)
        seconds.append(time.perf_counter() - start)
        elapsed = time.perf_counter() - begin
        enough = len(seconds) >= repeats and elapsed >= 3
        if enough or (len(seconds) >= 2 and elapsed >= budget):
            return seconds


def measure_kernel(step: Step, device: torch.device, budget: float) -> float:
    """Median seconds of one call. Short calls are timed many at a time, on a GPU by its events."""

    def sample(calls: int) -> float:
        if device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            for _ in range(calls):
                step()
            end.record()
            end.synchronize()
            return begin.elapsed_time(end) / 1000 / calls
        start = time.perf_counter()
        for _ in range(calls):
            step()
        return (time.perf_counter() - start) / calls

    start = time.perf_counter()
    sample(1)
    calls = max(1, min(10_000, round(0.005 / max(sample(1), 1e-7))))
    samples: list[float] = []
    while len(samples) < 3 or time.perf_counter() - start < budget:
        samples.append(sample(calls))
        if time.perf_counter() - start > 20 * budget:
            break
    return median(samples)


def peak_bytes(device: torch.device) -> int:
    """Most memory of the device that tensors held; on a CPU, that the process held."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
