#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Measures this machine's GPU and appends the tables to RESULTS.md: the benchmarks of the device, the
# launches of a training step, then the comparison with PyTorch where python3 has it. Without a GPU it
# says so and leaves all as it is.
#   append.sh VRFM_BENCH VRFM_PEER
set -eu
bench=$1 peer=$2
here=$(cd "$(dirname "$0")" && pwd)

if ! nvidia-smi -L 2>/dev/null; then
  echo "vrfm: nvidia-smi finds no GPU: nothing is measured, and the tests that need one were skipped"
  exit 0
fi
"$bench" --benchmark_filter='gemm/batch|dense/.*batch|training/(step|tiles|batch)|sampling/(euler|dopri5|tiles|batch)' \
  --append "$here/RESULTS.md"
"$bench" --launches --append "$here/RESULTS.md"

if ! python3 -c 'import sys, torch, torchdiffeq; sys.exit(not torch.cuda.is_available())'; then
  echo "vrfm: python3 has no torch with CUDA and torchdiffeq: no comparison"
  exit 0
fi
table=$(mktemp)
trap 'rm -f "$table"' EXIT
python3 "$here/peers/compare.py" "$peer" --device cuda >"$table"
cat "$table"
{
  echo
  cat "$table"
} >>"$here/RESULTS.md"
