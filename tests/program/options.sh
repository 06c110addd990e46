#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# An option that cannot be is refused by its name, with its limit and its value, before anything begins; the
# limit is in --help.
# Usage: options.sh VRFM_MNIST VRFM_CIFAR10 VRFM_SYNTHETIC VRFM_STANDINS
. "$(dirname "$0")/common.sh"
mnist=$1
cifar10=$2
synthetic=$3
standins=$4
export OMP_NUM_THREADS=1
"$standins" --train 20 --test 5 --output "$dir" >"$dir/out" || fail "stand-in sets"

wrong() { # program, words, options
  program=$1
  words=$2
  shift 2
  refused "$words" "$program" "$@" --output "$dir/new"
  [ "$(wc -l <"$dir/err")" -eq 1 ] || fail "more than one line of: $* -- $(cat "$dir/err")"
  [ ! -e "$dir/new" ] || fail "files stay of: $*"
}
help() { # program, command, words
  # shellcheck disable=SC2086
  "$1" $2 --help | tr -s ' \n' ' ' | grep -qF -e "$3" || fail "no '$3' in the help of: $1 $2"
}

large=99999999999999999999
wrong "$synthetic" "--decoder-depth: must be a whole number from 1 to 8, got 20" 1d --decoder-depth 20
help "$synthetic" "" "--decoder-depth INT:1 to 8"
wrong "$synthetic" "--latent-depth: must be a whole number from 1 to 8, got 9" 1d --latent-depth 9
wrong "$synthetic" "--warmup: must be less than --iterations 2 with --cosine, got 10" 1d --cosine --warmup 10 --iterations 2
help "$synthetic" "" "needs --warmup below --iterations"
wrong "$synthetic" "--iterations: must be a whole number of at least 1, got 1e3" 1d --iterations 1e3
wrong "$synthetic" "--iterations: must be a whole number without zeros before it, got 010" 1d --iterations 010
wrong "$synthetic" "--seeds: must be a whole number without zeros before it, got 08" 1d --seeds 1,08
wrong "$synthetic" "--iterations: must be a whole number of at most 4294967295, got $large" 1d --iterations $large
help "$synthetic" "" "--iterations INT:at least 1"
wrong "$synthetic" "--batch: must be a whole number of at most 2147483647, got 2147483648" 1d --batch 2147483648
wrong "$synthetic" "--seeds: must be a whole number of at most 4294967295, got 4294967296" 1d --seeds 1,4294967296
wrong "$synthetic" "--seeds: must be a whole number of at least 0, got -1" 1d --seeds=-1
wrong "$synthetic" "--features: must be an even number of at least 2, got 7" 1d --features 7
wrong "$synthetic" "--samples: must be a whole number from 100 to 10000000, got 10" 1d --samples 10
wrong "$synthetic" "--learning-rate: must be a positive number, got 1e999" 1d --learning-rate 1e999
wrong "$synthetic" "--learning-rate: must be a positive number, got nan" 1d --learning-rate nan
wrong "$synthetic" "--beta: must be a number of at least 0, got inf" 1d --beta inf
help "$synthetic" "" "--ema-decay FLOAT:in [0, 1)"
wrong "$synthetic" "--encoder-input: expected names of x0, x1, x_t, t joined by +, found 'x9'" 1d --encoder-input x9
wrong "$synthetic" "option --iterations has no effect with --load" 1d --load "$dir" --iterations 5

data="--data $dir/mnist"
# shellcheck disable=SC2086
{
  wrong "$mnist" "--iterations: must be a whole number of at most 4294967295, got $large" train $data --iterations $large
  wrong "$mnist" "--blocks: must be a whole number from 1 to 64, got 65" train $data --blocks 65
  help "$mnist" train "--blocks INT:1 to 64"
  wrong "$mnist" "--encoder-input: expected names of x0, x1, x_t joined by +, found 't' in x1+t" train $data --encoder-input x1+t
  wrong "$mnist" "--seed: must be a whole number of at most 4294967295, got $large" train $data --seed $large
  wrong "$mnist" "option --batch 4000000" train $data --recipe vrfm-small --iterations 1 --batch 4000000 --micro-batch 0
  data="--data $dir/cifar10"
  wrong "$cifar10" "--encoder-input: expected at least one of x0, x1, x_t, got t" train $data --recipe vrfm-small --encoder-input t
  wrong "$cifar10" "multiples of 64, got 32 x 32; the networks' options are --latent 8" train $data --recipe vrfm-small --multipliers 1,1,1,1,1,1,1
}
refused "--seed: must be a whole number of at most 4294967295, got $large" "$standins" --seed $large --output "$dir/new"
refused "$large" "$standins" --train $large --output "$dir/new"

finish
