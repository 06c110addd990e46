#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_standins as a user runs it: the files of both sets, the same bytes for the same seed, and one
# clear error with status 1 for whatever is wrong.
# Usage: standins.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1

run() { # folder, then options
  folder=$1
  shift
  "$program" --output "$dir/$folder" --train 50 --test 10 "$@" >"$dir/out" 2>"$dir/err" ||
    fail "exit status $? of: $*: $(cat "$dir/err")"
}

size() { # file, bytes
  [ "$(wc -c <"$dir/$1")" -eq "$2" ] || fail "$1 has not $2 bytes"
}

run one
size one/mnist/train-images-idx3-ubyte $((16 + 50 * 784))
size one/mnist/train-labels-idx1-ubyte $((8 + 50))
size one/mnist/t10k-images-idx3-ubyte $((16 + 10 * 784))
size one/mnist/t10k-labels-idx1-ubyte $((8 + 10))
for k in 1 2 3 4 5; do size one/cifar10/data_batch_$k.bin $((10 * 3073)); done
size one/cifar10/test_batch.bin $((10 * 3073))
grep -qxF "$dir/one/cifar10" "$dir/out" || fail "the folders are not named: $(cat "$dir/out")"

run two
diff -r "$dir/one" "$dir/two" || fail "equal seeds, different files"
run three mnist --seed 2 --gzip
cmp -s "$dir/one/mnist/preview.png" "$dir/three/mnist/preview.png" && fail "the seed has no effect"
[ ! -e "$dir/three/cifar10" ] || fail "cifar10 was written for mnist"
gzip -dc "$dir/three/mnist/train-images-idx3-ubyte.gz" >"$dir/images" || fail "gzip cannot read"
size images $((16 + 50 * 784))

wrong() { # words, then options
  words=$1
  shift
  refused "$words" "$program" --output "$dir/wrong" "$@"
  [ "$(wc -l <"$dir/err")" -eq 1 ] || fail "more than one line of: $*: $(cat "$dir/err")"
  [ ! -e "$dir/wrong" ] || fail "files were written by: $*"
}
wrong "svhn" svhn
wrong "--train: must be a multiple of 5" --train 51
wrong "--train" --train 0
wrong "--test" --test 0
wrong "--gzip has no effect" cifar10 --gzip
wrong "--wrong" mnist --wrong
"$program" --output /dev/null/x >"$dir/out" 2>"$dir/err" && fail "wrote below /dev/null"
grep -qF "vrfm_standins: " "$dir/err" || fail "no reason: $(cat "$dir/err")"

# A set that may be the real one stays.
rm "$dir/two/mnist/preview.png"
cp -r "$dir/two" "$dir/real"
refused "found train-images-idx3-ubyte of another origin" "$program" --output "$dir/two" --seed 9
diff -r "$dir/two" "$dir/real" || fail "a real set was changed"
run one --seed 2

finish
