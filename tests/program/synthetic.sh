#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_synthetic as a user runs it: the same bits for any number of threads, after a resume and after
# SIGTERM, sampling from saved weights, and one clear error with status 1 for whatever is wrong.
# Usage: synthetic.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1

# Small enough for seconds, but with several tiles and parts, a clipped and an averaged gradient.
tiny="--seeds 3 --samples 300 --steps 2,3 --width 8 --latent-width 8 --clip-norm 1 --ema-decay 0.9"
small="$tiny --batch 130 --features 8"

run() { # folder, then options
  folder=$1
  shift
  # shellcheck disable=SC2086
  "$program" $small --output "$dir/$folder" "$@" >"$dir/out" 2>"$dir/err" || {
    fail "exit status $? of: $*"
    cat "$dir/err"
  }
}

# What a run found out, without how long it took.
findings() { sed -e '/"backend"/d' -e '/"seconds"/d' -e '/"samples_per_second"/d' "$1/metrics.json"; }

same() { # folder, folder, what
  for file in "$dir/$1"/weights/* "$dir/$1"/samples/*; do
    cmp -s "$file" "$dir/$2/${file#"$dir/$1"/}" || fail "$3: ${file##*/} differs"
  done
  findings "$dir/$1" >"$dir/one"
  findings "$dir/$2" >"$dir/two"
  diff "$dir/one" "$dir/two" || fail "$3: metrics differ"
}

for experiment in 1d 2d; do
  OMP_NUM_THREADS=1 run one_thread $experiment --iterations 40 --overwrite
  for threads in 2 3 7; do
    OMP_NUM_THREADS=$threads run more_threads $experiment --iterations 40 --overwrite
    same one_thread more_threads "$experiment, 1 and $threads threads"
  done
  stops="1 17 39"
  [ $experiment = 1d ] || stops=17
  for stop in $stops; do
    rm -rf "$dir/resumed"
    run resumed $experiment --iterations $stop --checkpoint-every 1000
    run resumed $experiment --iterations 40 --checkpoint-every 7 --resume
    same one_thread resumed "$experiment, stopped at $stop and resumed"
  done
  run loaded $experiment --load "$dir/one_thread" --overwrite
  for file in "$dir"/loaded/samples/*; do
    cmp -s "$file" "$dir/one_thread/samples/${file##*/}" || fail "loaded weights: ${file##*/} differs"
  done
  # What it tells of the training is the weights' record and what lies beside them.
  grep -q '"iterations": 40' "$dir/loaded/metrics.json" || fail "loaded: other iterations"
  grep -q "trained for 40 iterations" "$dir/loaded/report.html" ||
    fail "loaded: the report tells of other iterations"
  losses=$(grep -h final "$dir/one_thread/metrics.json")
  [ "$losses" = "$(grep -h final "$dir/loaded/metrics.json")" ] || fail "loaded: other losses"
  sed -n '/Run it again/,$p' "$dir/one_thread/report.html" | grep -e "[ =]/" && fail "an absolute path to run again"
  grep -q "One seed: how much seeds differ is not known" "$dir/one_thread/report.html" || fail "no word of one seed"
  for file in metrics.json report.html figures/trajectories.png figures/metrics.png; do
    [ -s "$dir/one_thread/$file" ] || fail "$experiment: no $file"
  done
done

# Every method runs, to the same bits for any number of threads, and is a row of metrics.json.
methods=$("$program" --help | tr '\n' ' ' | sed 's/.*one or more of \([^;]*\);.*/\1/' | tr -d ' ')
[ "${methods#rfm,vrfm,}" != "$methods" ] || fail "--help names the methods '$methods'"
for threads in 1 3; do
  OMP_NUM_THREADS=$threads run methods$threads 2d --model all --iterations 4
done
same methods1 methods3 "all methods, 1 and 3 threads"
for method in $(echo "$methods" | tr , ' '); do
  [ "$(grep -c "\"model\": \"$method\"" "$dir/methods1/metrics.json")" -eq 3 ] || fail "no runs of $method"
done
grep -q "Euler or map steps" "$dir/methods1/report.html" || fail "a report of all methods without their solvers"
grep -q "^| V-SoFlow |" "$dir/methods1/table.md" || fail "table.md: $(cat "$dir/methods1/table.md")"
run euler 2d --model vrfm-soflow --iterations 4 --solver euler
grep -q '"solver": "euler"' "$dir/euler/metrics.json" || fail "a map is not integrated by Euler"

# Reflow in rounds: the pairs are kept, and a run goes on only with those of its teacher.
reflow="--model vrfm-reflow --pairs 300 --rounds 2"
# shellcheck disable=SC2086
{
  run reflow 2d $reflow --iterations 6 --checkpoint-every 3
  rm "$dir/reflow/pairs/vrfm-reflow-seed3-round1.safetensors"
  cp -r "$dir/reflow" "$dir/again"
  run again 2d $reflow --iterations 6 --resume
  same reflow again "reflow, resumed"
  grep -q "seed 3-round1: 300 pairs" "$dir/err" || fail "pairs that were gone were not made: $(cat "$dir/err")"
  grep -q "seed 3: 300 pairs" "$dir/err" && fail "pairs that were there were made again"
  cp "$dir/reflow/pairs/vrfm-reflow-seed3.safetensors" "$dir/pairs"
  refused "setting 'pairs' is '301' but" "$program" 2d $small --model vrfm-reflow --rounds 2 --pairs 301 --iterations 6 --resume \
    --output "$dir/reflow"
  refused "setting 'iterations' is '8' but" "$program" 2d $small $reflow --iterations 8 --resume --output "$dir/reflow"
  cmp -s "$dir/pairs" "$dir/reflow/pairs/vrfm-reflow-seed3.safetensors" || fail "pairs changed by a refused run"
  run input 2d --model vrfm-reflow --pairs 300 --iterations 4 --encoder-input x0
  refused "setting 'teacher_encoder_input' is 'x1' but" "$program" 2d $small --model vrfm-reflow --pairs 300 --iterations 4 \
    --encoder-input x1 --resume --output "$dir/input"
}

# A signal ends a training with a checkpoint and the status 0; what comes after it goes on to the same
# bits. The first model is done by then, and is not trained again.
long="--iterations 3000 --time-sampler logit-normal --cosine --checkpoint-every 1000"
# shellcheck disable=SC2086
run whole 1d $long
# shellcheck disable=SC2086
"$program" 1d $small $long --output "$dir/stopped" >"$dir/out" 2>"$dir/err" &
while [ ! -e "$dir/stopped/checkpoints/vrfm-x0+x1+x_t-seed3.safetensors" ] && kill -0 $! 2>/dev/null; do
  sleep 0.02
done
kill -TERM $! 2>/dev/null
wait $! || fail "status $? after SIGTERM"
grep -q "SIGTERM: stopped after step .* --resume continues" "$dir/err" || fail "SIGTERM: $(cat "$dir/err")"
[ ! -e "$dir/stopped/metrics.json" ] || fail "SIGTERM came too late"
# shellcheck disable=SC2086
run stopped 1d $long --resume
grep -q "rfm seed 3: continues from .*rfm-seed3.safetensors" "$dir/err" || fail "resume: $(cat "$dir/err")"
same whole stopped "1d, SIGTERM"
# A training that was done before the last start has no time of it.
# shellcheck disable=SC2086
run stopped 1d $long --resume
[ "$(grep -c -e '"seconds": null' -e '"samples_per_second": null' "$dir/stopped/metrics.json")" -eq 4 ] ||
  fail "a time of a training that was done"

# Adaptive steps run, and say how many evaluations they took.
"$program" 1d --iterations 5 --model rfm --seeds 3 --samples 300 --solver dopri5 \
  --output "$dir/adaptive" >"$dir/out" 2>"$dir/err" || fail "dopri5: $(cat "$dir/err")"
grep -q '"solver": *"dopri5"' "$dir/adaptive/metrics.json" || fail "dopri5 is not in metrics.json"

# Each wrong call: status 1, the words on stderr, and the results of before untouched.
OMP_NUM_THREADS=1 run kept 1d --iterations 40 --checkpoint-every 20
cp -r "$dir/kept" "$dir/before"
wrong() { # words, then options
  words=$1
  shift
  refused "$words" "$program" "$@"
  diff -r "$dir/kept" "$dir/before" >/dev/null || fail "files changed by: $*"
}
# shellcheck disable=SC2086
kept() { words=$1; shift; wrong "$words" 1d $small --output "$dir/kept" "$@"; }
# shellcheck disable=SC2086
other() { words=$1; shift; wrong "$words" 1d $tiny --output "$dir/kept" "$@"; }

wrong "experiment is required"
wrong "3d" 3d
kept "vrfm_synthetic: unknown option '--wrong'" --wrong 10
wrong "vrfm_synthetic: unexpected argument 'more'" 1d more
kept "--beta has no effect" --model rfm --beta 1
kept "--tolerance" --tolerance 1e-3
kept "--steps has no effect" --solver dopri5
kept "vrfm_synthetic: --latent: must be a whole number of at least 1, got 0" --latent 0
kept "found 'x9'" --encoder-input x0+x9
kept "twice" --seeds 1,1
kept "--model names vrfm twice" --model both,vrfm
kept "model: " --model rfm,none
kept "option --equal-times has no effect with --model rfm,vrfm" --equal-times 0.75
wrong "option --encoder-input has no effect with --model rfm,soflow" 1d --model rfm,soflow --encoder-input x1
kept "vrfm-soflow holds z along a map: expected x0, x1 or both" --model vrfm-soflow --encoder-input x1+t
kept "--solver flow-map: vrfm is no map" --model vrfm,soflow --solver flow-map
kept "width: must be" --width 0
wrong "iterations: must be a whole number of at least 1, got abc" 1d --iterations abc
other "features: must be an even number of at least 2, got 7" --batch 130 --features 7
other "batch: must be a whole number of at least 1, got 0" --features 8 --batch 0
kept "learning-rate: must be a positive number, got -1" --learning-rate -1
other "setting 'batch' is '131' but" --iterations 60 --resume --batch 131 --features 8
kept "more than --iterations" --iterations 30 --resume
kept "step 1 is not finite" --iterations 60 --learning-rate 1e30 --overwrite
kept "--load $dir/none: expected weights of rfm seed 3" --load "$dir/none"
kept "report.html; --overwrite replaces them" --load "$dir/kept"
kept "setting 'experiment'" --load "$dir/one_thread" --overwrite
wrong "--output /dev/null/run: cannot create" 1d --output /dev/null/run

checkpoint="$dir/kept/checkpoints/rfm-seed3.safetensors"
head -c 1000 "$dir/before/checkpoints/rfm-seed3.safetensors" >"$checkpoint"
cp "$checkpoint" "$dir/before/checkpoints/rfm-seed3.safetensors"
kept "rfm-seed3.safetensors" --iterations 60 --resume

finish
