#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: this package beside PyTorch, ours, PyTorch, ours, and a roofline of all kernels. Needs a
# source checkout with `npm run build` and `npm run build:cuda` done, and a Python with PyTorch for CUDA; timm for the
# other networks. Results as JSON, Markdown and SVG in bench/results, named by the GPU and the date.
#
#   MAMBA_SOURCE=path/to/mamba scripts/gpu-peers.sh [OPTIONS of bench/peers/gpu.mjs]
#
# MAMBA_SOURCE, a checkout of state-spaces/mamba, has its scan built for PyTorch's side; PYTHON names the interpreter. With
# `--minutes N` it ends in time with exit code 75, and the same command goes on.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}

if [ -n "${MAMBA_SOURCE:-}" ] && [ ! -e "$root/build/selective_scan/selective_scan_cuda.so" ]; then
  "$python" "$root/bench/peers/build_selective_scan.py" || echo "mamba_ssm's kernel was not built; PyTorch scans without it."
fi
exec node "$root/bench/peers/gpu.mjs" --python "$python" --write "$@"
