#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: is everything right, and how fast is it? Needs Node and the built package, and uses
# compute-sanitizer where it is installed. Results as JSON in $OUT, or in bench/results/gpu-check/.
#
#   scripts/gpu-check.sh [DEVICE]        DEVICE: cuda (default), cuda:1, ...
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
device=${1:-cuda}
out=${OUT:-$root/bench/results/gpu-check}
mkdir -p "$out"
failed=0

medmamba() {
  if command -v medmamba >/dev/null; then command medmamba "$@"; else node "$root/dist/cli/main.js" "$@"; fi
}
step() {
  local name=$1
  shift
  echo "== $name"
  "$@" || { echo "FAILED: $name"; failed=1; }
}

{
  echo "{"
  echo "  \"date\": \"$(date -u +%FT%TZ)\","
  echo "  \"commit\": \"$(git -C "$root" rev-parse --short HEAD 2>/dev/null)\","
  echo "  \"gpu\": \"$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | head -n 1)\""
  echo "}"
} >"$out/machine.json"

doctor() { medmamba doctor --device "$device" --json >"$out/doctor.json"; }
bench() { medmamba bench --device "$device" --json >"$out/bench.json"; }
sanitize() {
  compute-sanitizer --tool "$1" --error-exitcode 1 --target-processes all \
    node "$root/scripts/gpu-check.mjs" --device "$device" --precision bf16
}

step "doctor: every kernel against the CPU" doctor
step "golden files, determinism, the CPU's losses" node "$root/scripts/gpu-check.mjs" --device "$device" --out "$out/checks.json"
if command -v compute-sanitizer >/dev/null; then
  step "memcheck" sanitize memcheck
  step "racecheck" sanitize racecheck
else
  echo "== compute-sanitizer is not installed: memcheck and racecheck are left out"
fi
step "bench: every kernel, batches 1, 32 and 128" bench

echo
[ "$failed" = 0 ] && echo "All checks passed; results in $out" || echo "Some checks FAILED; results in $out"
exit "$failed"
