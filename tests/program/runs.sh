#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Runs are never lost: signals, a reader that leaves, losses that are gone, full disks, two processes in one
# folder, and results of before. matrix.sh has every signal at every moment.
# Usage: runs.sh VRFM_MNIST VRFM_SYNTHETIC VRFM_STANDINS
. "$(dirname "$0")/common.sh"
mnist=$1
synthetic=$2
standins=$3
export OMP_NUM_THREADS=1

"$standins" mnist --train 60 --test 20 --output "$dir" >"$dir/out" || fail "stand-in sets"
tiny="--data $dir/mnist --recipe vrfm-small --batch 4 --features 4 --blocks 1 --posterior-features 4 --steps 1 --samples 4 --sample-every 0"
small="1d --model rfm --seeds 3 --samples 100 --steps 2 --width 8 --features 8 --batch 100"

# With the signals' defaults, whatever this shell inherited.
defaults=
env --default-signal true 2>"$dir/err" && defaults="env --default-signal"

# shellcheck disable=SC2086
train() { # folder, then options
  folder=$1
  shift
  $defaults "$mnist" train $tiny --output "$dir/$folder" "$@" >"$dir/out" 2>"$dir/err"
}

# The same in the background: $! is the program.
# shellcheck disable=SC2086
start() {
  folder=$1
  shift
  $defaults "$mnist" train $tiny --output "$dir/$folder" "$@" >"$dir/out" 2>"$dir/err" &
}

wait_for() { # file: until it is there, or the program in the background has ended
  while [ ! -e "$1" ] && kill -0 $! 2>/dev/null; do sleep 0.02; done
}

same() { # folder, folder, what
  for file in weights.safetensors weights-ema.safetensors samples/final.png; do
    cmp -s "$dir/$1/$file" "$dir/$2/$file" || fail "$3: $file differs"
  done
  [ -s "$dir/$2/report.html" ] || fail "$3: no report"
  [ ! -e "$dir/$2/.vrfm-lock" ] || fail "$3: the lock stays"
}

steps=100
train whole --iterations $steps || fail "train: $(cat "$dir/err")"

# A signal: a checkpoint and the status 0. Then the checkpoint alone is enough, and so are no settings.
for signal in HUP XCPU; do
  start stopped --iterations $steps --checkpoint-every 10
  wait_for "$dir/stopped/checkpoints/step-000000010.safetensors"
  kill -$signal $!
  wait $! || fail "status $? after SIG$signal"
  grep -q "SIG$signal: stopped after step" "$dir/err" || fail "SIG$signal: $(cat "$dir/err")"
  [ ! -e "$dir/stopped/weights.safetensors" ] || fail "SIG$signal came too late"
  rm "$dir/stopped/losses.npz"
  "$mnist" train --data "$dir/mnist" --steps 1 --samples 4 --sample-every 0 --iterations $steps --resume \
    --output "$dir/stopped" >"$dir/out" 2>"$dir/err" || fail "SIG$signal, resume: $(cat "$dir/err")"
  grep -q "losses.npz: expected the losses of .* steps, found those of 0;" "$dir/err" ||
    fail "no word of the losses: $(cat "$dir/err")"
  same whole stopped "SIG$signal"
  rm -r "$dir/stopped"
done

# nohup stays without effect on the training.
(
  trap '' HUP
  # shellcheck disable=SC2086
  exec "$mnist" train $tiny --output "$dir/nohup" --iterations $steps >"$dir/out" 2>"$dir/err"
) &
wait_for "$dir/nohup/samples"
kill -HUP $!
wait $! || fail "status $? under nohup"
same whole nohup "nohup"

# A reader that leaves.
# shellcheck disable=SC2086
{ $defaults "$mnist" train $tiny --output "$dir/piped" --iterations $steps 2>&1; echo $? >"$dir/status"; } |
  head -n 1 >"$dir/out"
[ "$(cat "$dir/status")" = 0 ] || fail "status $(cat "$dir/status") without a reader"
same whole piped "without a reader"

# Two processes at once: the second ends at its start, and says who has the folder.
start held --iterations 90000
program=$!
wait_for "$dir/held/.vrfm-lock"
# shellcheck disable=SC2086
refused "found the lock of process $program on host $(uname -n) (" \
  "$mnist" train $tiny --output "$dir/held" --iterations 5
# shellcheck disable=SC2086
refused "found the lock of process $program on host" "$synthetic" $small --output "$dir/held" --iterations 5
kill -9 "$program"
wait $! 2>/dev/null
[ -e "$dir/held/.vrfm-lock" ] || fail "kill -9 took the lock away"
echo >"$dir/held/samples/.vrfm-1-0.tmp"
train held --iterations 3 --resume || fail "a lock left behind blocks: $(cat "$dir/err")"
find "$dir/held" -name '.*' | grep . && fail "the lock, or a temporary of what was killed, stays"

# What is there is not written over unless that is asked for.
cp -r "$dir/held" "$dir/kept"
unchanged() { # words, then the call
  refused "$@"
  diff -r "$dir/held" "$dir/kept" || fail "files changed by: $*"
}
# shellcheck disable=SC2086
{
  unchanged "--resume continues from it, --overwrite begins anew" "$mnist" train $tiny --output "$dir/held"
  rm -r "$dir/held/checkpoints" "$dir/kept/checkpoints"
  unchanged "report.html; --overwrite replaces" "$mnist" train $tiny --output "$dir/held"
  unchanged "found none but the weights" "$mnist" train $tiny --resume --output "$dir/held"
  unchanged "report.html; --overwrite replaces" "$mnist" evaluate --load "$dir/whole/weights.safetensors" \
    --data "$dir/mnist" --output "$dir/held"
  unchanged "--overwrite excludes --resume" "$mnist" train $tiny --resume --overwrite --output "$dir/held"
  unchanged "not finite" "$mnist" train $tiny --overwrite --learning-rate 1e30 --warmup 0 --clip-norm 0 --output "$dir/held"
}
cp "$dir/whole/samples/final.png" "$dir/held/samples/step-000000077.png"
train held --iterations $steps --overwrite || fail "--overwrite: $(cat "$dir/err")"
same whole held "--overwrite"
[ ! -e "$dir/held/samples/step-000000077.png" ] || fail "--overwrite leaves an earlier picture"

# Limits on files: an error, and no temporary. Nothing at all stays of a run without a result.
(
  ulimit -f 8
  train full --iterations 10
)
[ $? -eq 1 ] || fail "ulimit -f: not status 1"
grep -q "checkpoint of step 10: .*there is no earlier one" "$dir/err" || fail "ulimit -f: $(cat "$dir/err")"
find "$dir/full" -name '.*' | grep . && fail "ulimit -f: a temporary or the lock stays"
[ ! -e "$dir/full/samples" ] || fail "ulimit -f: empty folders stay"
(
  ulimit -f 8
  exec "$standins" mnist --output "$dir/cut" >"$dir/out" 2>"$dir/err"
)
[ $? -eq 1 ] || fail "standins, ulimit -f: not status 1"
find "$dir/cut" -name '*.tmp' | grep . && fail "standins, ulimit -f: a temporary stays"
nothing_left() { # words, then options of train
  words=$1
  shift
  # shellcheck disable=SC2086
  refused "$words" "$mnist" train $tiny --output "$dir/new/folder" "$@"
  [ ! -e "$dir/new" ] || fail "folders stay of: $*"
}
nothing_left "not finite" --learning-rate 1e30 --warmup 0 --clip-norm 0
echo >"$dir/file"
# shellcheck disable=SC2086
{
  refused "--output $dir/file: expected the name of a folder, found a file" "$mnist" train $tiny --output "$dir/file"
  refused "--output $dir/file: expected the name of a folder, found a file" "$synthetic" $small --output "$dir/file"
}

# To the recipe's end, without a word of settings.
train ended --iterations 3 || fail "train: $(cat "$dir/err")"
"$mnist" train --data "$dir/mnist" --steps 1 --samples 4 --resume --output "$dir/ended" >"$dir/out" 2>"$dir/err" &
while ! grep -q continues "$dir/err" && kill -0 $! 2>/dev/null; do sleep 0.02; done
kill -TERM $!
wait $! || fail "status $? of --resume alone"
grep -q "continues from .* to step 4000$" "$dir/err" || fail "--resume alone: $(cat "$dir/err")"

# shellcheck disable=SC2086
{
  "$synthetic" $small --iterations 20 --output "$dir/ended-1d" >"$dir/out" 2>"$dir/err" || fail "1d: $(cat "$dir/err")"
  "$synthetic" $small --resume --output "$dir/ended-1d" >"$dir/out" 2>"$dir/err" &
}
while ! grep -q continues "$dir/err" && kill -0 $! 2>/dev/null; do sleep 0.02; done
kill -TERM $!
wait $! || fail "status $? of synthetic --resume alone"
grep -q "continues from .* to step 20000$" "$dir/err" || fail "synthetic, --resume alone: $(cat "$dir/err")"

# vrfm_synthetic: the same of its folder of several trainings.
# shellcheck disable=SC2086
run() { "$synthetic" $small "$@" >"$dir/out" 2>"$dir/err" || fail "status $? of: $* -- $(cat "$dir/err")"; }
run --iterations 1000 --output "$dir/s"
# shellcheck disable=SC2086
{
  refused "report.html; --overwrite replaces" "$synthetic" $small --output "$dir/s"
  $defaults "$synthetic" $small --iterations 1000 --checkpoint-every 100 --output "$dir/t" \
    >"$dir/out" 2>"$dir/err" &
}
wait_for "$dir/t/checkpoints/rfm-seed3.safetensors"
kill -USR1 $!
wait $! || fail "status $? after SIGUSR1"
grep -q "SIGUSR1: stopped" "$dir/err" || fail "SIGUSR1: $(cat "$dir/err")"
rm "$dir/t/checkpoints/rfm-seed3-losses.npz"
run --iterations 1000 --output "$dir/t" --resume
cmp -s "$dir/s/weights/rfm-seed3.safetensors" "$dir/t/weights/rfm-seed3.safetensors" || fail "SIGUSR1: other weights"
cmp -s "$dir/s/samples/rfm-seed3-euler-2.npy" "$dir/t/samples/rfm-seed3-euler-2.npy" || fail "SIGUSR1: other samples"

finish
