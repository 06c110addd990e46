#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# From the files of MNIST or CIFAR-10, or of stand-ins for them, to the Frechet distance over evaluations of several
# methods: trains a classifier, whose features are compared, and the recipes, and sweeps over their steps. What is there
# already is not done again, so a second start goes on where the first one ended.
#
#   few_steps.sh PROGRAMS mnist|cifar10 DATA OUTPUT [RECIPE...]
#
# PROGRAMS: folder of vrfm_mnist, vrfm_cifar10 and vrfm_image_metrics. RECIPE: the small ones of eight methods, if none is
# given. From the environment: SEEDS [1 2], STEPS [1,2,4,8,20,100], COUNT [5000] samples of a distance; INCEPTION, a file
# of the Inception network's weights in place of the classifier; TRAIN and CLASSIFY, options of the trainings.
set -u
if [ $# -lt 4 ]; then
  sed -n '/^#  /s/^#   //p' "$0" >&2
  exit 2
fi
programs=$1 set=$2 data=$3 output=$4
shift 4
[ $# -gt 0 ] || set -- rfm-small vrfm-small ot-fm-small consistency-small meanflow-small vrfm-meanflow-small \
  soflow-small vrfm-soflow-small

mkdir -p "$output" || exit 1
if [ -n "${INCEPTION:-}" ]; then
  kind=--inception
  features=$INCEPTION
else
  kind=--classifier
  features=$output/classifier/weights.safetensors
  # shellcheck disable=SC2086
  [ -e "$features" ] ||
    "$programs/vrfm_image_metrics" train-classifier --data "$data" --output "$output/classifier" --resume \
      ${CLASSIFY:-} || exit 1
  [ -e "$features" ] || exit 0 # a signal has ended it
fi
recipes=$*
set --
for seed in ${SEEDS:-1 2}; do
  for recipe in $recipes; do
    run=$output/$recipe-seed$seed
    # shellcheck disable=SC2086
    # The report is the last file of a run; a run that a signal has ended has none.
    [ -e "$run/report.html" ] ||
      "$programs/vrfm_$set" train --recipe "$recipe" --seed "$seed" --data "$data" --output "$run" --resume \
        ${TRAIN:-} || exit 1
    [ -e "$run/report.html" ] || exit 0
    if [ -e "$run/weights-ema.safetensors" ]; then
      set -- "$@" "$run/weights-ema.safetensors"
    else
      set -- "$@" "$run/weights.safetensors"
    fi
  done
done
"$programs/vrfm_$set" sweep --load "$@" --data "$data" "$kind" "$features" --steps "${STEPS:-1,2,4,8,20,100}" \
  --count "${COUNT:-5000}" --output "$output/sweep"
