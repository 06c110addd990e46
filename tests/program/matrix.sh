#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Every signal that ends a run, at every moment of it, for every program that trains: nothing is lost, and
# --resume ends with the bits of a run that was left alone. Takes minutes: ctest --preset matrix.
# Usage: matrix.sh VRFM_MNIST VRFM_CIFAR10 VRFM_SYNTHETIC VRFM_STANDINS [SIGNALS [MOMENTS [PROGRAMS]]]
. "$(dirname "$0")/common.sh"
mnist=$1
cifar10=$2
synthetic=$3
standins=$4
signals=${5:-"HUP INT TERM USR1 USR2 XCPU KILL PIPE"}
moments=${6:-"starting training checkpoint pictures"}
programs=${7:-"mnist cifar10 synthetic"}
export OMP_NUM_THREADS=1
defaults=
env --default-signal true 2>"$dir/err" && defaults="env --default-signal"

"$standins" --train 60 --test 20 --output "$dir" >"$dir/out" || fail "stand-in sets"

# The arguments of a program by its name, without the folder.
arguments() {
  case $1 in
  mnist) echo "train --data $dir/mnist --recipe vrfm-small --batch 4 --features 4 --blocks 1 --posterior-features 4 --iterations 60 --steps 4 --samples 16 --sample-every 20 --sample-batch 1 --checkpoint-every 5" ;;
  cifar10) echo "train --data $dir/cifar10 --recipe vrfm-small --batch 2 --base 8 --multipliers 1,1 --attention 8 --head-channels 8 --latent-width 8 --posterior-base 4 --iterations 20 --steps 1 --samples 4 --sample-every 10 --sample-batch 1 --checkpoint-every 2 --no-mirror" ;;
  synthetic) echo "1d --seeds 3,4 --samples 300 --steps 2,3 --width 8 --latent-width 8 --features 8 --batch 130 --ema-decay 0.9 --iterations 400 --checkpoint-every 20" ;;
  esac
}

program() {
  case $1 in
  mnist) echo "$mnist" ;;
  cifar10) echo "$cifar10" ;;
  synthetic) echo "$synthetic" ;;
  esac
}

# The bits that count: weights and samples; and that the report is there.
same() { # folder, folder, what
  (cd "$dir/$1" && find . -name '*.safetensors' -o -name '*.npy' -o -path './samples/*.png') | grep -v checkpoints |
    sort >"$dir/names"
  while read -r file; do
    cmp -s "$dir/$1/$file" "$dir/$2/$file" || fail "$3: $file differs"
  done <"$dir/names"
  [ -s "$dir/$2/report.html" ] && [ -s "$dir/$2/metrics.json" ] || fail "$3: no report"
  find "$dir/$2" -name '.*' | grep -q . && fail "$3: files stay: $(find "$dir/$2" -name '.*')"
}

# Until the moment has come, or the program has ended.
wait_for() { # moment, folder, process
  while kill -0 "$3" 2>/dev/null; do
    case $1 in
    starting) [ -e "$2/.vrfm-lock" ] && return ;;
    training) [ -n "$(ls "$2/checkpoints" 2>/dev/null)" ] && return ;;
    checkpoint) ls -A "$2/checkpoints" 2>/dev/null | grep -q '^\.vrfm-.*tmp$' && return ;;
    pictures) [ -e "$2/weights.safetensors" ] || [ -e "$2/metrics.json" ] && return ;;
    esac
  done
}

for name in $programs; do
  program=$(program $name)
  # shellcheck disable=SC2046
  "$program" $(arguments $name) --output "$dir/$name-whole" >"$dir/out" 2>"$dir/err" || fail "$name: $(cat "$dir/err")"
  for signal in $signals; do
    for moment in $moments; do
      what="$name, SIG$signal while $moment"
      folder=$dir/stopped
      rm -rf "$folder"
      # shellcheck disable=SC2046
      if [ "$signal" = PIPE ]; then
        # A reader that leaves, in place of the signal.
        rm -f "$dir/pipe"
        mkfifo "$dir/pipe"
        $defaults "$program" $(arguments $name) --output "$folder" >"$dir/pipe" 2>&1 &
        process=$!
        exec 3<"$dir/pipe"
        wait_for $moment "$folder" $process
        exec 3<&-
      else
        $defaults "$program" $(arguments $name) --output "$folder" >"$dir/out" 2>"$dir/err" &
        process=$!
        wait_for $moment "$folder" $process
        kill -$signal $process 2>/dev/null
      fi
      wait $process
      status=$?
      [ $status -eq 0 ] || [ "$signal" = KILL ] || fail "$what: status $status: $(cat "$dir/err")"
      [ "$signal" = KILL ] || ! find "$folder" -name '.*' | grep . || fail "$what: files stay"
      echo "$what: $([ -e "$folder/report.html" ] && echo done || tail -n 1 "$dir/err")"
      # shellcheck disable=SC2046
      "$program" $(arguments $name) --resume --output "$folder" >"$dir/out" 2>"$dir/err" ||
        fail "$what: resume: $(cat "$dir/err")"
      same $name-whole stopped "$what"
    done
  done
done

finish
