#!/usr/bin/env bash
# On a machine with an NVIDIA GPU, in eight minutes: is everything right, how fast is it, where does the time go?
#
#   scripts/gpu-run.sh [--device cuda:1] [--minutes 8] [--only WORDS] [--data FILE] [--emulator]
#   scripts/gpu-run.sh --pack       before: all that such a machine lacks, in .gpu/
#
# Stages by value: truth, speed, profile, large shapes, a short training; gpu-stages.mjs has them. Each step has its limit,
# none stops the next, and summary.json and summary.md are written after every one, into $OUT or bench/results/gpu-run/.
# It ends with 1 if anything is wrong.
#
# A source checkout needs `npm run build`, `npm run build:cuda` and `npm run build:gpu-tests`. A machine without Node and
# without a network takes the checkout's files and .gpu/, which this unpacks. `--emulator` rehearses it without a GPU, in
# small, and needs `node scripts/build.mjs native typescript tests`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = --pack ]; then exec node scripts/gpu-pack.mjs; fi

if [ ! -e dist/cli/main.js ] && [ -e .gpu/package.tar.xz ]; then tar -xJf .gpu/package.tar.xz; fi
node=$(command -v node || true)
is_new='process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)'
[ -z "$node" ] || "$node" -e "$is_new" || node=
if [ -z "$node" ] && [ -e .gpu/node.xz ]; then
  node=$PWD/build/gpu-run/node
  mkdir -p "$(dirname "$node")"
  [ -x "$node" ] || { xz -dc .gpu/node.xz >"$node.new" && chmod +x "$node.new" && mv "$node.new" "$node"; }
fi
[ -n "$node" ] || { echo "gpu-run: Node 20 or newer is not installed, and there is no .gpu/: \`scripts/gpu-run.sh --pack\` makes it" >&2; exit 1; }
exec "$node" scripts/gpu-run.mjs "$@"
