#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_image_metrics as a user runs it: the values of SciPy, scikit-learn and prdc from features and from NumPy's
# statistics, statistics of its own, features by Inception's weights and by a classifier that it trains, and one clear
# error with status 1 for whatever is wrong.
# Usage: image_metrics.sh PROGRAM STANDINS
. "$(dirname "$0")/common.sh"
program=$1
standins=$2
golden=$(dirname "$0")/../golden

# The number, or the first of a list, that a golden header has under a name.
golden_value() { sed -n "s/.* $1 = {*\([^,;}]*\).*/\1/p" "$golden/metrics.hpp" "$golden/two_samples.hpp"; }

# Runs the program; the number under KEY in its JSON must be VALUE.
expect() { # key, value, then arguments
  key=$1 value=$2
  shift 2
  "$program" "$@" >"$dir/out" 2>"$dir/err" || fail "exit status $? of: $*: $(cat "$dir/err")"
  [ "$(wc -l <"$dir/out")" -eq 1 ] || fail "more or less than one line from: $*"
  found=$(sed -n "s/.*\"$key\":\([^,}]*\).*/\1/p" "$dir/out")
  # Printed with all digits; the rest is rounding.
  awk -v f="${found:-nan}" -v v="$value" 'BEGIN { d = f - v; exit !(f != "nan" && d < 1e-12 * (1 + v) && -d < 1e-12 * (1 + v)) }' ||
    fail "$key is '$found', not '$value', in: $*"
}

a=$golden/metrics_features_a.npy
b=$golden/metrics_features_b.npy
distance=$(golden_value program_frechet)
expect distance "$distance" frechet "$a" "$b"
expect distance "$distance" frechet "$a" "$golden/metrics_statistics_b.npz"
expect distance 0 frechet "$b" "$golden/metrics_statistics_b.npz"
expect dimensions 5 statistics "$a" --output "$dir/a.npz"
expect distance "$distance" frechet "$dir/a.npz" "$b"
expect mean "$(golden_value program_inception)" inception "$b" --splits 4
expect rows 40 inception "$b"
for key in mean deviation; do
  expect "$key" "$(golden_value "program_kernel_$key")" kernel "$a" "$b" --subsets 7 --subset-size 20
done
expect subset_size 30 kernel "$a" "$b" --subset-size 30 --seed 1
for key in precision recall density coverage; do
  expect "$key" "$(golden_value "program_$key")" neighbours "$a" "$b"
done
expect precision 1 neighbours "$b" "$b" --neighbours 39
expect density 1 neighbours "$b" "$b" --density-neighbours 1
expect dimensions 5 neighbours "$b" "$a"
# Enough images are nothing to warn of; no more of them than features are.
"$program" frechet "$a" "$b" 2>"$dir/err" >"$dir/out"
[ ! -s "$dir/err" ] || fail "a warning of enough images: $(cat "$dir/err")"
printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }" >"$dir/few.npy"
printf '\000\000\200\077\000\000\000\000\000\000\000\000\000\000\200\077' >>"$dir/few.npy"
expect dimensions 2 statistics "$dir/few.npy" --output "$dir/few.npz"
grep -qF "few.npy has 2 images of 2 features" "$dir/err" || fail "no warning of few images: $(cat "$dir/err")"
"$program" --help | grep -q inception || fail "--help"

wrong() { # words, then arguments
  words=$1
  shift
  refused "$words" "$program" "$@"
  grep -qF -e "vrfm_image_metrics: " "$dir/err" || fail "no name in the error of: $*"
}

wrong "subcommand"
wrong "none.npy: cannot read" frechet "$a" none.npy
wrong "main.cpp: expected features in a file *.npy or statistics in a file *.npz" frechet "$a" main.cpp
wrong "expected values of type '<f2', '<f4' or '<f8', found '<i4'" frechet "$a" "$golden/io_i4.npy"
wrong "expected an array of shape [rows, columns], found []" frechet "$a" "$golden/io_f8_scalar.npy"
wrong "io_f4.npy: feature_statistics: features: row 0 holds a number that is not finite" frechet "$a" "$golden/io_f4.npy"
wrong "metrics_features_a.npy: inception_score: expected one to 30 splits of as many rows, but got 31" inception "$a" --splits 31
wrong "Value 0 not in range" inception "$a" --splits 0
wrong "metrics_features_b.npy: kernel_distance: expected subsets of two to all rows, but got subsets of 1000 of the 30 rows of a and the 40 rows of b" kernel "$a" "$b"
wrong "Value 1 not in range" kernel "$a" "$b" --subset-size 1
wrong "Value 4294967296 not in range" kernel "$a" "$b" --seed 4294967296
wrong "metrics_features_b.npy: precision_recall: expected neighbours of one to 29 in 30 real samples, but got 30" neighbours "$a" "$b" --neighbours 30
wrong "few.npy: real has 5 columns but generated has 2 columns" neighbours "$a" "$dir/few.npy"
wrong "metrics_statistics_b.npz: " kernel "$a" "$golden/metrics_statistics_b.npz"
wrong "arr_0.npz: expected statistics mu [D] and sigma [D, D] in a file *.npz, or features [images, D] in a file *.npy, found the array arr_0; the command features makes them of images" \
  frechet "$a" "$golden/readers/features_as_arr_0.npz"
expect dimensions 16 statistics "$golden/readers/julia_statistics.npz" --output "$dir/julia.npz"
expect distance 0 frechet "$dir/julia.npz" "$golden/readers/julia_statistics.npz"
printf '<!DOCTYPE html>\n<html></html>\n' >"$dir/page.npz"
wrong "page.npz: expected an NPZ archive, found a web page (HTML)" frechet "$a" "$dir/page.npz"
wrong "expected 'mu' of shape [D]" frechet "$a" "$golden/io_stored.npz"
wrong "expected a file *.npz, found stats" statistics "$a" --output stats

# Features of images, by weights that are all zero: files of the right shape, of every kind of images.
network=$dir/network.safetensors
head -c 40000 "$golden/inception.safetensors" | tr -d '\n' |
  LC_ALL=C sed 's/.*"shapes":"\([^"]*\)".*/\1/; s/\\n/\n/g' |
  awk '{
      count = 1
      shape = ""
      for (k = 2; k <= NF; ++k) { count *= $k; shape = shape (k > 2 ? "," : "") $k }
      header = header (NR > 1 ? "," : "{") sprintf("\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%d,%d]}",
        $1, shape, at, at + 4 * count)
      at += 4 * count
    }
    END {
      n = length(header) + 1
      printf "\\%03o\\%03o\\000\\000\\000\\000\\000\\000\n%d\n%s}", n % 256, n / 256, 8 + n + at, header
    }' >"$dir/header"
printf "$(sed -n 1p "$dir/header")" >"$network"
sed -n 3p "$dir/header" | tr -d '\n' >>"$network"
truncate -s "$(sed -n 2p "$dir/header")" "$network"
expect count 2 features "$golden/io_images.idx" --weights "$network" -o "$dir/idx.npy" --logits "$dir/logits.npy"
grep -qa "'shape': (2, 2048)" "$dir/idx.npy" && grep -qa "'shape': (2, 1008)" "$dir/logits.npy" || fail "shapes of features"
mkdir -p "$dir/pictures/deeper" "$dir/none"
cp "$golden/pictures/colour.jpg" "$golden/pictures/grey.jpg" "$dir/pictures"
cp "$golden/pictures/colour.jpg" "$dir/pictures/deeper/other.JPEG"
if "$program" features "$dir/pictures" --weights "$network" -o "$dir/pictures.npz" >"$dir/out" 2>"$dir/err"; then
  grep -q '"count":3,' "$dir/out" || fail "count of pictures: $(cat "$dir/out")"
  grep -qF "3/3 images" "$dir/err" || fail "no progress: $(cat "$dir/err")"
  grep -qF "has 3 images of 2048 features" "$dir/err" || fail "no warning of few images: $(cat "$dir/err")"
else
  grep -q "without libjpeg" "$dir/err" || fail "features of pictures: $(cat "$dir/err")"
fi
cp "$golden/io_batch.cifar10" "$dir/batch.bin"
expect count 1 features "$dir/batch.bin" --weights "$network" -o "$dir/cifar.npy"
wrong "--output: expected a file *.npy, of features, or *.npz" \
  features "$dir/pictures" --weights "$network" -o "$dir/x"
wrong "--without-bias has no effect without --logits" \
  features "$dir/pictures" --weights "$network" -o "$dir/x.npy" --without-bias
wrong "x.pth, which is PyTorch's; in Python: safetensors.torch.save_file(" \
  features "$dir/pictures" --weights x.pth -o "$dir/x.npy"
wrong "expected a folder of PNG or JPEG files, or of the files of MNIST or CIFAR-10's binary version (test)" \
  features "$dir/none" --weights "$network" -o "$dir/x.npy" --split test
wrong "features_as_arr_0.npz: 'arr_0.npy': expected values of type '|u1', found '<f8'" \
  features "$golden/readers/features_as_arr_0.npz" --weights "$network" -o "$dir/x.npy"
wrong "autoencoder.safetensors: tensor" \
  features "$dir/pictures" --weights "$golden/autoencoder.safetensors" -o "$dir/x.npy"

# A classifier of stand-in digits: small, of a few steps.
"$standins" mnist --train 200 --test 40 -o "$dir/sets" >"$dir/out" || fail "stand-ins"
set_=$dir/sets/mnist
train() { # output, then options
  run=$1
  shift
  "$program" train-classifier --data "$set_" -o "$run" --iterations 6 --batch 20 --base 4 --features 8 "$@"
}
expect test_images 40 train-classifier --data "$set_" -o "$dir/run" --iterations 6 --batch 20 --base 4 --features 8
for key in steps parameters test_error test_cross_entropy train_error seconds; do
  grep -q "\"$key\":[0-9]" "$dir/out" || fail "no $key in $(cat "$dir/out")"
done
grep -q "step 6/6" "$dir/err" || fail "no progress: $(cat "$dir/err")"
[ "$(ls "$dir/run" | tr '\n' ' ')" = "checkpoint.safetensors losses.npz weights.safetensors " ] ||
  fail "files of a classifier: $(ls "$dir/run")"
# What was trained is not trained again; the weights come from the checkpoint to the same bits.
mv "$dir/run/weights.safetensors" "$dir/weights.safetensors"
expect steps 6 train-classifier --data "$set_" -o "$dir/run" --resume
cmp "$dir/run/weights.safetensors" "$dir/weights.safetensors" || fail "weights of a run that was resumed"
train "$dir/run" --overwrite --ema-decay 0.5 --label-smoothing 0.1 --mirror >"$dir/out" 2>"$dir/err" ||
  fail "--overwrite: $(cat "$dir/err")"
cmp -s "$dir/run/weights.safetensors" "$dir/weights.safetensors" && fail "--overwrite replaced nothing"
classifier=$dir/run/weights.safetensors
expect count 40 features "$set_" --split test --classifier "$classifier" -o "$dir/test.npy" --logits "$dir/logits.npy"
grep -qa "'shape': (40, 8)" "$dir/test.npy" && grep -qa "'shape': (40, 10)" "$dir/logits.npy" ||
  fail "shapes of a classifier's features"
expect count 200 features "$set_" --classifier "$classifier" -o "$dir/train.npz" --batch 64
expect dimensions 8 frechet "$dir/test.npy" "$dir/train.npz"
expect classes 10 inception "$dir/logits.npy" --splits 2

wrong "expected --weights, of the Inception network, or --classifier, of train-classifier, found neither" \
  features "$set_" -o "$dir/x.npy"
wrong "of train-classifier, found both" features "$set_" -o "$dir/x.npy" --weights "$network" --classifier "$classifier"
wrong "--without-bias has no effect with --classifier" \
  features "$set_" --classifier "$classifier" -o "$dir/x.npy" --logits "$dir/y.npy" --without-bias
wrong "batch.bin: expected images of 28 x 28 pixels, as those that the classifier was trained on, found 32 x 32" \
  features "$dir/batch.bin" --classifier "$classifier" -o "$dir/x.npy"
wrong "autoencoder.safetensors: expected weights that train-classifier wrote, found no metadata 'model'" \
  features "$set_" --classifier "$golden/autoencoder.safetensors" -o "$dir/x.npy"
[ ! -e "$dir/x.npy" ] || fail "features that were refused"
wrong "expected no results, found $dir/run/weights.safetensors; --resume continues, --overwrite replaces them" \
  train-classifier --data "$set_" -o "$dir/run"
wrong "setting 'seed' is '2' but the checkpoint was made with '1'" \
  train-classifier --data "$set_" -o "$dir/run" --resume --seed 2
wrong "setting 'iterations' is '7' but the checkpoint was made with '6'" \
  train-classifier --data "$set_" -o "$dir/run" --resume --iterations 7
wrong "none: expected a folder of the files of MNIST or CIFAR-10's binary version (train), found none of them" \
  train-classifier --data "$dir/none" -o "$dir/new"
wrong "--iterations: must be" train-classifier --data "$set_" -o "$dir/new" --iterations 0
wrong "--label-smoothing: must be" train-classifier --data "$set_" -o "$dir/new" --label-smoothing 1
wrong "--beta" train-classifier --data "$set_" -o "$dir/new" --beta 1
[ ! -e "$dir/new" ] || fail "a folder of a run that was refused"

finish
