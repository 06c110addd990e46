#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_mnist and vrfm_cifar10 as a user runs them, on stand-in sets and tiny networks: the same bits
# for any number of threads, after SIGTERM, SIGINT and kill -9; a full disk; samples and losses from
# saved weights; and one clear error with status 1 for whatever is wrong.
# Usage: images.sh VRFM_MNIST VRFM_CIFAR10 VRFM_STANDINS [KILLS]
. "$(dirname "$0")/common.sh"
mnist=$1
cifar10=$2
standins=$3
kills=${4:-6}

"$standins" --train 60 --test 20 --output "$dir" >"$dir/out" || fail "stand-in sets"

# Narrow, but with several parts of a batch, a clipped and an averaged gradient, dropout, mirroring.
tiny="--data $dir/mnist --batch 6 --micro-batch 4 --features 4 --blocks 1 --clip-norm 1 --ema-decay 0.9 --steps 2 --samples 4"
tiny_vrfm="$tiny --posterior-features 4"
cifar_networks="--recipe vrfm-3 --base 8 --multipliers 1,1 --blocks 1 --head-channels 8 --latent 6 --latent-width 8 --posterior-base 4"
tiny_cifar="--data $dir/cifar10 $cifar_networks --batch 4 --micro-batch 2 --ema-decay 0.9 --steps 2 --samples 4"

run() { # program, folder, then options
  program=$1
  folder=$2
  shift 2
  "$program" "$@" --output "$dir/$folder" >"$dir/out" 2>"$dir/err" || {
    fail "exit status $? of: $*"
    cat "$dir/err"
  }
}

same() { # folder, folder, what
  for file in weights.safetensors weights-ema.safetensors losses.npz samples/final.png; do
    cmp -s "$dir/$1/$file" "$dir/$2/$file" || fail "$3: $file differs"
  done
}

wait_for() { # file: until it is there, or the program in the background has ended
  while [ ! -e "$1" ] && kill -0 $! 2>/dev/null; do sleep 0.02; done
}

interrupted() { # signal, steps of the run, program, options of train
  signal=$1
  last=$2
  shift 2
  rm -rf "$dir/stopped"
  program=$1
  shift
  "$program" train "$@" --iterations "$last" --checkpoint-every 3 --output "$dir/stopped" \
    >"$dir/out" 2>"$dir/err" &
  wait_for "$dir/stopped/checkpoints/step-000000003.safetensors"
  kill "-$signal" $! 2>/dev/null
  wait $! || fail "status $? after SIG$signal"
  grep -q "SIG$signal: stopped after step" "$dir/err" || fail "SIG$signal: $(cat "$dir/err")"
  [ ! -e "$dir/stopped/weights.safetensors" ] || fail "SIG$signal came too late"
  run "$program" stopped train "$@" --iterations "$last" --resume
}

steps=24
# shellcheck disable=SC2086
{
  OMP_NUM_THREADS=1 run "$mnist" one train $tiny_vrfm --iterations $steps --sample-every 12
  OMP_NUM_THREADS=2 run "$mnist" two train $tiny_vrfm --iterations $steps --sample-every 0
  same one two "mnist, 1 and 2 threads"
  for signal in TERM INT; do
    interrupted $signal $steps "$mnist" $tiny_vrfm
    same one stopped "mnist, SIG$signal"
  done
  run "$mnist" rfm train $tiny --recipe rfm --iterations 9
  grep -h "KL" "$dir/out" "$dir/err" && fail "mnist: a KL without latent variable"
  OMP_NUM_THREADS=1 run "$cifar10" cifar_one train $tiny_cifar --iterations 12
  # Checkpoints from before the setting have none; they go on with its default.
  grep -aqF '"setting.groups"' "$dir"/cifar_one/checkpoints/*.safetensors && fail "the default of groups is written"
  interrupted TERM 12 "$cifar10" $tiny_cifar
  same cifar_one stopped "cifar10, SIGTERM"
}
for file in report.html metrics.json figures/losses.png samples/manifold-1.png \
  samples/step-000000012.png; do
  [ -s "$dir/one/$file" ] || fail "mnist: no $file"
done
[ -s "$dir/cifar_one/samples/shared-z-2.png" ] || fail "cifar10: no grid of one z"
grep -q "data:image/png;base64," "$dir/one/report.html" || fail "no picture in the report"

# A recipe says how long to train, unless the command line does.
"$mnist" train --help >"$dir/out"
grep -q -e "rfm-small:.*--blocks 4.*--iterations 4000" "$dir/out" || fail "mnist: no small recipe"
"$cifar10" train --help >"$dir/out"
grep -q -e "vrfm-small:.*--base 16.*--latent 8.*--iterations 2000" "$dir/out" ||
  fail "cifar10: no small recipe"
"$cifar10" sample --help >"$dir/out"
grep -q "^  vrfm-2: nothing$" "$dir/out" || fail "cifar10: vrfm-2 has other networks"
grep -q -e "--iterations" "$dir/out" && fail "sample --help: settings of a training"
for program in "$mnist" "$cifar10"; do
  "$program" evaluate --help >"$dir/out"
  grep -q -e "-small:.* --batch " "$dir/out" && fail "evaluate --help: the batch of a training"
done

# Weights of others do not say how many groups their norms have: torchcfm's have 32, unless the option says more.
networks="--base 32 --multipliers 1 --blocks 1 --attention 8 --head-channels 8"
drawn="--image 32,32,3 --recipe rfm-small $networks --count 2 --steps 1"
for groups in 8 32; do
  # shellcheck disable=SC2086
  run "$cifar10" groups-$groups train --data "$dir/cifar10" --recipe rfm-small $networks --groups $groups --batch 2 --iterations 1 \
    --ema-decay 0 --steps 1 --samples 1
  LC_ALL=C sed 's/"set":/"sat":/' "$dir/groups-$groups/weights.safetensors" >"$dir/others-$groups.safetensors"
  run "$cifar10" own-$groups sample --load "$dir/groups-$groups/weights.safetensors" --count 2 --steps 1
done
draw() { # groups of the weights, folder, options
  weights=$1
  folder=$2
  shift 2
  # shellcheck disable=SC2086
  run "$cifar10" "$folder" sample --load "$dir/others-$weights.safetensors" $drawn "$@"
}
draw 32 others-32
cmp -s "$dir/own-32/samples.npz" "$dir/others-32/samples.npz" || fail "weights of others: not 32 groups"
draw 8 others-8 --groups 8
cmp -s "$dir/own-8/samples.npz" "$dir/others-8/samples.npz" || fail "weights of others: --groups 8 has no effect"
for recipe in vrfm-small rfm-small; do
  run "$mnist" small_mnist_$recipe train --data "$dir/mnist" --recipe $recipe --features 4 \
    --iterations 2 --steps 1 --samples 1
  run "$cifar10" small_cifar_$recipe train --data "$dir/cifar10" --recipe $recipe --base 8 \
    --iterations 2 --steps 1 --samples 1
done
[ -s "$dir/small_mnist_vrfm-small/samples/manifold-1.png" ] || fail "mnist: no manifold"
[ -s "$dir/small_cifar_vrfm-small/samples/shared-z-1.png" ] || fail "cifar10: no grid of one z"

# The other methods' recipes train, and what they make is sampled by its own steps.
for recipe in ot-fm vrfm-ot consistency meanflow vrfm-meanflow soflow vrfm-soflow; do
  run "$mnist" small_$recipe train --data "$dir/mnist" --recipe $recipe-small --features 4 --iterations 2 --samples 1
  run "$mnist" drawn_$recipe sample --load "$dir/small_$recipe/weights-ema.safetensors" --count 2 --steps 1
done
grep -q "2 steps of the map" "$dir/small_vrfm-soflow/report.html" || fail "a map's pictures by other steps"
grep -q "V-SoFlow on MNIST" "$dir/small_vrfm-soflow/report.html" || fail "a report without its method"
run "$cifar10" small_cifar_meanflow train --data "$dir/cifar10" --recipe vrfm-meanflow-small --base 8 --iterations 2 \
  --samples 1 --time-mean 1 --time-deviation 2
run "$mnist" euler_soflow sample --load "$dir/small_soflow/weights-ema.safetensors" --count 2 --solver euler --steps 2

# Killed again and again, at moments that a small generator picks.
random=1
round=0
# shellcheck disable=SC2086
while [ $round -lt "$kills" ]; do
  round=$((round + 1))
  random=$(((random * 1103515245 + 12345) % 2147483648))
  "$mnist" train $tiny_vrfm --iterations $steps --checkpoint-every 1 --keep 2 --resume \
    --output "$dir/killed" >"$dir/out" 2>"$dir/err" &
  sleep "0.$((random / 65536 % 400 + 100))"
  kill -9 $! 2>/dev/null
  wait $! 2>/dev/null
  grep -i damaged "$dir/err" && fail "a damaged checkpoint after kill $round"
  # Done before the last kill: begin again.
  [ $round -lt "$kills" ] && [ -e "$dir/killed/weights.safetensors" ] && rm -rf "$dir/killed"
done
# shellcheck disable=SC2086
run "$mnist" killed train $tiny_vrfm --iterations $steps --resume
grep -i damaged "$dir/err" && fail "a damaged checkpoint after the last kill"
same one killed "mnist, killed $kills times"
ls -A "$dir/killed/checkpoints" | grep -q tmp && fail "temporary files stay"

# A damaged checkpoint is passed over, and said so.
newest=$dir/killed/checkpoints/$(ls "$dir/killed/checkpoints" | tail -n 1)
head -c 1000 "$newest" >"$dir/part"
cp "$dir/part" "$newest"
rm "$dir/killed/weights.safetensors"
# shellcheck disable=SC2086
run "$mnist" killed train $tiny_vrfm --iterations $steps --resume
grep -q "skipped a damaged checkpoint" "$dir/err" || fail "a damaged checkpoint is not mentioned"
same one killed "mnist, the newest checkpoint damaged"

# A disk that is full: no file grows beyond a few kilobytes.
# shellcheck disable=SC2086
run "$mnist" full train $tiny_vrfm --iterations 10 --checkpoint-every 5
cp -r "$dir/full/checkpoints" "$dir/before"
# shellcheck disable=SC2086
(
  trap '' XFSZ
  ulimit -f 16
  exec "$mnist" train $tiny_vrfm --iterations $steps --checkpoint-every 5 --resume \
    --output "$dir/full" >"$dir/out" 2>"$dir/err"
)
[ $? -eq 1 ] || fail "full disk: not status 1"
grep -q "checkpoint of step 15: .*earlier ones are intact, the newest is $dir/full/checkpoints/step-000000010" \
  "$dir/err" || fail "full disk: $(cat "$dir/err")"
diff -r "$dir/full/checkpoints" "$dir/before" >/dev/null || fail "full disk: checkpoints changed"
# shellcheck disable=SC2086
run "$mnist" full train $tiny_vrfm --iterations $steps --resume
same one full "mnist, after a full disk"

# Images and losses from the weights alone.
run "$mnist" drawn sample --load "$dir/one/weights-ema.safetensors" --count 70 --steps 2 --manifold 3
for file in samples.npz samples.png manifold-2.png shared-z-4.png; do
  [ -s "$dir/drawn/$file" ] || fail "sample: no $file"
done
OMP_NUM_THREADS=1 run "$mnist" again sample --load "$dir/one/weights-ema.safetensors" --count 70 \
  --steps 2 --sample-batch 9 --manifold 0 --shared 0
[ ! -e "$dir/again/manifold-1.png" ] || fail "--manifold 0 makes a picture"
cmp -s "$dir/drawn/samples.npz" "$dir/again/samples.npz" || fail "sample: other images in other parts"
# A checkpoint stands for its moving average, or, without one, its weights.
checkpoint=checkpoints/step-0000000
run "$mnist" again sample --load "$dir/one/${checkpoint}24.safetensors" --count 70 --steps 2 \
  --manifold 0 --shared 0 --overwrite
cmp -s "$dir/drawn/samples.npz" "$dir/again/samples.npz" || fail "sample: other images of a checkpoint"
run "$cifar10" raw train --data "$dir/cifar10" --recipe vrfm-small --base 8 --ema-decay 0 --iterations 2 \
  --steps 1 --samples 1
run "$cifar10" raw_losses evaluate --load "$dir/raw/weights.safetensors" "$dir/raw/${checkpoint}02.safetensors" \
  --data "$dir/cifar10" --count 5 --times 2
[ "$(sed -n 's/^V-RFM (raw\/[-a-z0-9]*) *//p' "$dir/out" | uniq -c | awk '{ print $1 }')" = 2 ] ||
  fail "evaluate: other losses of a checkpoint: $(cat "$dir/out")"
run "$cifar10" drawn sample --load "$dir/cifar_one/weights.safetensors" --count 3 --solver dopri5 --overwrite \
  --tolerance 1e-2 --shared 1
# The same weights without settings, as other programs write them: each character of the metadata blank.
other=$dir/other.safetensors
LC_ALL=C sed -e ':again' -e 's/\("__metadata__":{ *\)[^ }]/\1 /' -e 't again' \
  "$dir/cifar_one/weights.safetensors" >"$other"
# shellcheck disable=SC2086
{
  run "$cifar10" with sample --load "$dir/cifar_one/weights.safetensors" --count 3 --steps 2
  run "$cifar10" without sample --load "$other" $cifar_networks --image 32,32,3 --count 3 --steps 2
}
cmp -s "$dir/with/samples.npz" "$dir/without/samples.npz" || fail "sample --recipe: other images"
# shellcheck disable=SC2086
run "$cifar10" both evaluate --load "$dir/cifar_one/weights.safetensors" "$other" $cifar_networks \
  --data "$dir/cifar10" --count 5 --times 2
[ "$(sed -n 's/^V-RFM ([a-z_]*) *//p' "$dir/out" | uniq -c | awk '{ print $1 }')" = 2 ] ||
  fail "evaluate --recipe: other losses: $(cat "$dir/out")"
run "$mnist" losses evaluate --load "$dir/one/weights.safetensors" "$dir/rfm/weights.safetensors" \
  --data "$dir/mnist" --count 15 --times 3 --batch 7
grep -q "^RFM (rfm) .* -$" "$dir/out" || fail "evaluate: a KL without latent: $(cat "$dir/out")"
grep -q '"velocity_loss_at_t"' "$dir/losses/metrics.json" || fail "evaluate: no losses along t"
[ -s "$dir/losses/figures/losses.png" ] || fail "evaluate: no training curves"

# Each wrong call: status 1, the words on stderr, and the results of before untouched.
cp -r "$dir/one" "$dir/kept"
wrong() { # words, program, options
  refused "$@"
  diff -r "$dir/one" "$dir/kept" >/dev/null || fail "files changed by: $*"
}
# shellcheck disable=SC2086
train() { words=$1; shift; wrong "$words" "$mnist" train $tiny_vrfm --output "$dir/one" "$@"; }

wrong "subcommand is required" "$mnist"
wrong "subcommand is required" "$mnist" draw
wrong "--data is required" "$mnist" train --output "$dir/none"
wrong "vrfm-5" "$cifar10" train --recipe vrfm-5
train "vrfm_mnist: unknown option '--wrong'" --wrong 1
train "option --beta has no effect with --recipe rfm" --recipe rfm --beta 1
train "option --equal-times has no effect with --objective velocity and --pairs independent" --equal-times 0.1
train "option --time-mean has no effect" --time-mean 1
# shellcheck disable=SC2086
wrong "--pairs transport: expected --objective velocity, got soflow" "$mnist" train $tiny --recipe soflow --pairs transport \
  --output "$dir/one"
train "--solver flow-map: this flow is no map" --solver flow-map
train "option --tolerance has no effect without --solver dopri5" --tolerance 1
train "option --steps has no effect with --solver dopri5" --solver dopri5
train "--matmul-precision: float16 not in" --matmul-precision float16
train "--features: must be a whole number of at least 1, got 0" --features 0
train "found 'x9'" --encoder-input x0+x9
train "--resume continues from it"
train "setting 'beta' is '0.5' but" --resume --beta 0.5
train "setting 'seed' is '2' but" --resume --seed 2
# shellcheck disable=SC2086
wrong "setting 'recipe' is 'rfm' but" "$mnist" train $tiny --recipe rfm --resume \
  --output "$dir/one"
train "more than --iterations" --resume --iterations 5
wrong "MNIST" "$mnist" train --data "$dir/none" --output "$dir/none"
wrong "cannot create the folder" "$mnist" train --data "$dir/mnist" --output /dev/null/run
wrong "expected weights of vrfm_cifar10, found those of vrfm_mnist" "$cifar10" sample \
  --load "$dir/one/weights.safetensors" --output "$dir/none"
wrong "option --manifold needs a latent variable of two dimensions" "$mnist" sample \
  --load "$dir/rfm/weights.safetensors" --output "$dir/none" --manifold 4
# shellcheck disable=SC2086
other() { words=$1; shift; wrong "$words" "$cifar10" sample --load "$other" --output "$dir/none" "$@"; }
# shellcheck disable=SC2086
{
  other "found no setting 'set'; --recipe names the networks of others"
  other "option --base has no effect without --recipe" --base 8
  other "option --image has no effect without --recipe" --image 32,32,3
  other "'input_blocks.1.0.emb_layers.1.weight': expected F32 [8, 32], found F32 [16, 32]" \
    $cifar_networks --conditioning additive
  other "multiples of 2, got 31 x 32" $cifar_networks --image 31,32,3
  wrong "weights.safetensors: carries its settings, option --recipe has no effect" "$cifar10" sample \
    --load "$dir/cifar_one/weights.safetensors" --output "$dir/none" $cifar_networks
}
# shellcheck disable=SC2086
{
  wrong "all of --load carry their settings, option --recipe has no effect" "$cifar10" evaluate \
    --load "$dir/cifar_one/weights.safetensors" --data "$dir/cifar10" --output "$dir/none" $cifar_networks
  wrong "--recipe names the networks of others" "$cifar10" evaluate --load "$other" \
    --data "$dir/cifar10" --output "$dir/none"
  wrong "option --latent has no effect without --recipe" "$cifar10" evaluate --load "$other" \
    --data "$dir/cifar10" --output "$dir/none" --latent 6
}
wrong "expected a safetensors file" "$mnist" sample --load "$dir/mnist/preview.png" --output "$dir/none"
wrong "option --attention 7 has no effect" "$cifar10" train --data "$dir/cifar10" --attention 7 \
  --output "$dir/none"
wrong "none.safetensors" "$mnist" evaluate --load "$dir/none.safetensors" --data "$dir/mnist" \
  --output "$dir/none"

finish
