#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Training steps of SiT by vrfm and by PyTorch, one after the other on the same device: shows the table and appends it
# to RESULTS.md, or to the file that the variable RESULTS names. Where one side ends early, the rows that it has
# printed stay. Options are those of both sides (peers/sit.cpp).
#   sit.sh VRFM_BENCH_SIT [--model sit-xl/2] [--batch 32,64] [--recompute] [--steps N] [--turns N] [--extent N]
set -u
program=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
results=${RESULTS:-$here/RESULTS.md}
status=0

if gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null); then
  device=$(echo "$gpu" | head -n 1)
  needed="import sys, torch, timm; sys.exit(not torch.cuda.is_available())"
else
  device="${OMP_NUM_THREADS:-$(nproc)} threads"
  needed="import torch, timm"
fi
table=$(mktemp)
trap 'rm -f "$table"' EXIT
{
  echo
  echo "## $(date -u +%Y-%m-%d) · training steps of SiT, $device"
  echo
  echo "| | network | batch | recomputed | ms | images/s | TFLOP/s | of the fastest product |"
  echo "|---|---|---|---|---|---|---|---|"
} >"$table"
"$program" "$@" >>"$table" || status=1
if python3 -c "$needed" 2>/dev/null; then
  python3 "$here/peers/sit.py" "$@" >>"$table" || status=1
else
  echo "vrfm: python3 has no torch for this device, or no timm: no comparison" >&2
fi
cat "$table"
cat "$table" >>"$results"
exit $status
