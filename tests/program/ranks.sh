#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Programs that mpirun starts: the bits of one process on any number of ranks, also where a run is killed and
# goes on with another number; and whatever happens to one rank ends all, with one message.
# Usage: ranks.sh MPIRUN FLAG VRFM_MNIST VRFM_CIFAR10 VRFM_IMAGENET VRFM_SYNTHETIC VRFM_STANDINS [KILLS]
. "$(dirname "$0")/common.sh"
mpirun=$1
flag=$2
mnist=$3
cifar10=$4
imagenet=$5
synthetic=$6
standins=$7
kills=${8:-4}
export OMP_NUM_THREADS=1

"$standins" --train 60 --test 20 --output "$dir" >"$dir/out" || fail "stand-in sets"
"$standins" latents --train 40 --test 10 --output "$dir" >"$dir/out" || fail "stand-in latents"
numbers="--data $dir/mnist --recipe vrfm-small --batch 10 --micro-batch 3 --features 4 --blocks 1 --posterior-features 4 --steps 2 --samples 9 --sample-batch 2 --ema-decay 0.9"
shapes="train --data $dir/cifar10 --recipe vrfm-small --batch 4 --micro-batch 1 --base 8 --multipliers 1,1 --attention 8 --head-channels 8 --latent-width 8 --posterior-base 4 --iterations 4 --steps 1 --samples 4 --sample-every 2"
latents="train --data $dir/latents --recipe v-sit-tiny --embedding 16 --depth 2 --heads 2 --latent 4 --batch 6 --micro-batch 2 --learning-rate 0.02 --warmup 0 --ema-decay 0.9 --steps 2 --samples 4 --checkpoint-every 2"
circle="1d --seeds 3 --samples 100 --steps 2 --width 8 --latent-width 8 --features 8 --batch 130 --ema-decay 0.9 --iterations 60 --checkpoint-every 20"

# A rank of `numbers`: leaves its process in a file, then becomes the program; `before` is for one rank alone.
cat >"$dir/rank.sh" <<'SCRIPT'
rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}
echo $$ >"$PROCESSES/$rank"
[ "$rank" != "$SPECIAL" ] || eval "$BEFORE"
exec "$@"
SCRIPT
mkdir "$dir/processes"
export PROCESSES="$dir/processes" SPECIAL=none BEFORE=

# shellcheck disable=SC2086
train() { # ranks, folder, options
  ranks=$1
  folder=$2
  shift 2
  "$mpirun" "$flag" "$ranks" sh "$dir/rank.sh" "$mnist" train $numbers --output "$dir/$folder" "$@" >"$dir/out" 2>"$dir/err"
}

same() { # folder, folder, what
  (cd "$dir/$1" && find . -name '*.safetensors' -o -name '*.np[yz]' -o -path './samples/*.png') | grep -v checkpoints |
    sort >"$dir/names"
  [ -s "$dir/names" ] || fail "$3: nothing to compare"
  while read -r file; do
    cmp -s "$dir/$1/$file" "$dir/$2/$file" || fail "$3: $file differs"
  done <"$dir/names"
  [ -s "$dir/$2/report.html" ] || fail "$3: no report"
  find "$dir/$2" -name '.*' | grep -q . && fail "$3: files stay: $(find "$dir/$2" -name '.*')"
}

# Any number of ranks and threads.
length="--iterations 12 --checkpoint-every 3 --sample-every 6"
# shellcheck disable=SC2086
"$mnist" train $numbers $length --output "$dir/mnist-1" >"$dir/out" 2>"$dir/err" || fail "mnist: $(cat "$dir/err")"
# shellcheck disable=SC2086
"$cifar10" $shapes --output "$dir/cifar10-1" >"$dir/out" 2>"$dir/err" || fail "cifar10: $(cat "$dir/err")"
# shellcheck disable=SC2086
"$synthetic" $circle --output "$dir/synthetic-1" >"$dir/out" 2>"$dir/err" || fail "synthetic: $(cat "$dir/err")"
for ranks in 2 3; do
  shards=
  [ $ranks -ne 3 ] || shards=--shard-optimizer
  # shellcheck disable=SC2086
  train $ranks mnist-$ranks $length $shards || fail "mnist: $(cat "$dir/err")"
  # shellcheck disable=SC2086
  OMP_NUM_THREADS=$((ranks - 1)) "$mpirun" "$flag" $ranks "$cifar10" $shapes --output "$dir/cifar10-$ranks" >"$dir/out" 2>"$dir/err" ||
    fail "cifar10: $(cat "$dir/err")"
  # shellcheck disable=SC2086
  "$mpirun" "$flag" $ranks "$synthetic" $circle --output "$dir/synthetic-$ranks" >"$dir/out" 2>"$dir/err" ||
    fail "synthetic: $(cat "$dir/err")"
  for program in mnist cifar10 synthetic; do same $program-1 $program-$ranks "$program, $ranks ranks"; done
  # One rank speaks.
  [ "$(grep -c 'Report: ' "$dir/out")" = 1 ] || fail "synthetic, $ranks ranks: $(cat "$dir/out")"
done

# Transformers of latents: on two ranks, and begun by two and continued by three that shard the optimizer.
# shellcheck disable=SC2086
{
  "$imagenet" $latents --iterations 6 --output "$dir/imagenet-1" >"$dir/out" 2>"$dir/err" || fail "imagenet: $(cat "$dir/err")"
  "$mpirun" "$flag" 2 "$imagenet" $latents --iterations 6 --output "$dir/imagenet-2" >"$dir/out" 2>"$dir/err" ||
    fail "imagenet, 2 ranks: $(cat "$dir/err")"
  "$mpirun" "$flag" 2 "$imagenet" $latents --iterations 3 --output "$dir/imagenet-3" >"$dir/out" 2>"$dir/err" ||
    fail "imagenet, stopped: $(cat "$dir/err")"
  rm "$dir"/imagenet-3/weights*.safetensors
  "$mpirun" "$flag" 3 "$imagenet" $latents --iterations 6 --shard-optimizer --resume --output "$dir/imagenet-3" >"$dir/out" 2>"$dir/err" ||
    fail "imagenet, continued: $(cat "$dir/err")"
}
same imagenet-1 imagenet-2 "imagenet, 2 ranks"
same imagenet-1 imagenet-3 "imagenet, continued by 3 ranks"

# Drawing and held-out losses.
for ranks in 1 3; do
  "$mpirun" "$flag" $ranks "$mnist" sample --load "$dir/mnist-1/weights.safetensors" --count 7 --steps 2 --manifold 3 --shared 1 \
    --output "$dir/sample-$ranks" >"$dir/out" 2>"$dir/err" || fail "sample: $(cat "$dir/err")"
  "$mpirun" "$flag" $ranks "$mnist" evaluate --load "$dir/mnist-1/weights.safetensors" --data "$dir/mnist" --times 2 --count 20 --batch 3 \
    --output "$dir/evaluate-$ranks" >"$dir/out" 2>"$dir/err" || fail "evaluate: $(cat "$dir/err")"
done
for file in sample-3/samples.npz sample-3/samples.png sample-3/manifold-1.png evaluate-3/metrics.json; do
  one=$(echo $file | sed 's/-3/-1/')
  cmp "$dir/$file" "$dir/$one" || fail "$file differs"
done

# Killed at some moment, one rank or all, and continued by another number of ranks, until it is done.
moment=7
killed=0
ranks=2
rm -rf "$dir/killed"
while [ $killed -lt "$kills" ]; do
  moment=$((moment * 1103 % 1009))
  rm -f "$PROCESSES"/*
  shards=
  [ $((moment / 2 % 2)) -eq 0 ] || shards=--shard-optimizer
  # shellcheck disable=SC2086
  train $ranks killed $length $shards --resume &
  run=$!
  while [ ! -e "$PROCESSES/0" ] && kill -0 $run 2>/dev/null; do sleep 0.02; done
  sleep $((moment % 2)).$((100 + moment % 900))
  victims="$PROCESSES/$((moment % ranks))"
  [ $((moment % 3)) -ne 0 ] || victims="$PROCESSES/*"
  # shellcheck disable=SC2086,SC2046
  kill -9 $(cat $victims) 2>/dev/null
  wait $run
  killed=$((killed + 1))
  ranks=$((1 + (ranks + moment) % 4))
  # From its end it would only draw again.
  if [ -e "$dir/killed/report.html" ]; then
    rm -f "$dir/killed/.vrfm-lock" # stays where the kill came behind the report
    same mnist-1 killed "killed $killed times"
    rm -r "$dir/killed"
  fi
done
# shellcheck disable=SC2086
train $ranks killed $length --resume || fail "resume: $(cat "$dir/err")"
same mnist-1 killed "killed and resumed"

# Whatever happens to one rank: an end within ten seconds, one line that says why, and a checkpoint to go on from.
ends() { # what, words, ranks, then options
  what=$1
  words=$2
  ranks=$3
  shift 3
  begin=$(date +%s)
  train "$ranks" bad "$@" && fail "$what: status 0"
  took=$(($(date +%s) - begin))
  [ $took -le 20 ] || fail "$what: took $took s"
  [ "$(grep -c '^vrfm_mnist: ' "$dir/err")" = 1 ] || fail "$what: not one message: $(cat "$dir/err")"
  grep -q "^vrfm_mnist: $words" "$dir/err" || fail "$what: $(cat "$dir/err")"
}
every="--checkpoint-every 3 --sample-every 6"
# shellcheck disable=SC2086
train 2 bad $every --iterations 3 || fail "before: $(cat "$dir/err")"
SPECIAL=1 BEFORE="set -- \"\$1\" train --data $dir/nowhere --resume --iterations 12 --output $dir/bad"
ends "no data on rank 1" "rank 1: .*nowhere" 3 --resume --iterations 12
"$standins" mnist --train 55 --test 20 --output "$dir/others" >"$dir/out" || fail "stand-in sets"
SPECIAL=2 BEFORE="set -- \"\$1\" train $(echo "$numbers" | sed "s|$dir/mnist|$dir/others/mnist|") --iterations 12 --output $dir/bad --overwrite"
ends "other data on rank 2" "rank 2: expected the settings of rank 0, found 'data' to be '55 images" 3 --iterations 12 --overwrite
SPECIAL=1 BEFORE="set -- \"\$1\" train $numbers --iterations 15 --output $dir/bad --overwrite"
ends "another length on rank 1" "rank 1: expected the settings of rank 0, found '--iterations' to be '15', not '12'" 3 --iterations 12 --overwrite
SPECIAL=0 BEFORE="ulimit -f 8"
# shellcheck disable=SC2086
ends "no space on the root" ".*File too large" 3 --resume --iterations 12 $every
SPECIAL=2 BEFORE="ulimit -f 8"
# shellcheck disable=SC2086
ends "no space on a rank with a shard" "checkpoint of step 6: rank 2: .*File too large; .*step-000000003" 3 --resume --iterations 12 \
  --shard-optimizer $every
SPECIAL=none BEFORE=
# shellcheck disable=SC2086
train 3 bad $length --resume || fail "after: $(cat "$dir/err")"
same mnist-1 bad "after failures of ranks"
ends "an unknown option" "unknown option '--nonsense'" 2 --nonsense
rm -r "$dir/bad"
ends "a rate that is too large" "step [0-9]* is not finite" 2 --iterations 100 --learning-rate 1e30

# A signal to one rank stops all of them.
rm -f "$PROCESSES"/*
# shellcheck disable=SC2086
train 3 stopped $every --iterations 1000 &
run=$!
while [ ! -e "$dir/stopped/checkpoints/step-000000003.safetensors" ] && kill -0 $run 2>/dev/null; do sleep 0.02; done
kill -USR1 "$(cat "$PROCESSES/2")"
wait $run || fail "status $? after USR1"
grep -q "a signal to another rank: stopped after step" "$dir/err" || fail "USR1: $(cat "$dir/err")"
stopped=$(find "$dir/stopped/checkpoints" -name '*.safetensors' | wc -l)
[ "$stopped" -gt 0 ] || fail "USR1: no checkpoint"

finish
