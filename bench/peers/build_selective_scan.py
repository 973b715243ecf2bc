"""Builds mamba_ssm's CUDA kernel of the selective scan for the GPU at hand, to be measured against.

    MAMBA_SOURCE=path/to/mamba python3 bench/peers/build_selective_scan.py

MAMBA_SOURCE is a checkout of state-spaces/mamba, of which csrc/selective_scan is used. The library comes to
build/selective_scan, where pytorch.py finds it; nothing of the source does. It needs PyTorch with CUDA, its toolkit's
nvcc and ninja. MAX_JOBS limits the compilers that run at once.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from scans import BUILT

# One for each type and direction; a checkout's history has others beside them that are not part of the library.
SOURCE = re.compile(r"selective_scan_(fwd|bwd)_(fp32|fp16|bf16)(_real|_complex)?\.cu")

# Those of mamba's setup.py.
FLAGS = [
    "-O3", "-std=c++17", "-U__CUDA_NO_HALF_OPERATORS__", "-U__CUDA_NO_HALF_CONVERSIONS__",
    "-U__CUDA_NO_BFLOAT16_OPERATORS__", "-U__CUDA_NO_BFLOAT16_CONVERSIONS__", "-U__CUDA_NO_BFLOAT162_OPERATORS__",
    "-U__CUDA_NO_BFLOAT162_CONVERSIONS__", "--expt-relaxed-constexpr", "--expt-extended-lambda", "--use_fast_math",
    "--threads", "4",
]  # fmt: skip


def sources(checkout: Path) -> list[Path]:
    folder = checkout / "csrc" / "selective_scan"
    found = [folder / "selective_scan.cpp", *sorted(path for path in folder.glob("*.cu") if SOURCE.fullmatch(path.name))]
    missing = [path for path in found if not path.exists()]
    if missing or len(found) < 2:
        sys.exit(f"{checkout} is no checkout of state-spaces/mamba: {folder} lacks its sources.")
    return found


def main() -> None:
    checkout = os.environ.get("MAMBA_SOURCE")
    if not checkout:
        sys.exit("MAMBA_SOURCE has to name a checkout of state-spaces/mamba.")
    files = sources(Path(checkout))
    import torch

    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no GPU to build for.")
    from torch.utils.cpp_extension import load

    major, minor = torch.cuda.get_device_capability()
    os.environ.setdefault("TORCH_CUDA_ARCH_LIST", f"{major}.{minor}")
    BUILT.mkdir(parents=True, exist_ok=True)
    load(
        "selective_scan_cuda",
        [str(path) for path in files],
        extra_include_paths=[str(files[0].parent)],
        extra_cflags=["-O3", "-std=c++17"],
        extra_cuda_cflags=FLAGS,
        build_directory=str(BUILT),
        verbose=True,
    )
    print(f"built: {BUILT}")


if __name__ == "__main__":
    main()
