#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_imagenet as a user runs it, on stand-in latents and tiny networks: latents of images, the same bits for any
# number of threads and after a start that was ended, samples of classes with guidance, by every sampler and with a
# decoder; and one clear error with status 1 for whatever is wrong.
# Usage: imagenet.sh VRFM_IMAGENET VRFM_STANDINS
. "$(dirname "$0")/common.sh"
program=$1
standins=$2

for set in latents images; do
  "$standins" $set --train 60 --test 20 --output "$dir" >"$dir/out" || fail "stand-in $set"
done

run() { # folder, then options
  folder=$1
  shift
  "$program" "$@" --output "$dir/$folder" >"$dir/out" 2>"$dir/err" || {
    fail "exit status $? of: $*"
    cat "$dir/err"
  }
}

same() { # folder, folder, files
  first=$1
  second=$2
  shift 2
  for file in "$@"; do
    cmp -s "$dir/$first/$file" "$dir/$second/$file" || fail "$file differs in $first and $second"
  done
}

# Narrow, but with several parts of a batch, a clipped and an averaged gradient, a class that is dropped.
networks="--recipe v-sit-tiny --embedding 16 --depth 2 --heads 2 --latent 4"
settings="--data $dir/latents --batch 6 --learning-rate 0.02 --warmup 0 --micro-batch 4 --ema-decay 0.9 --steps 2 --samples 4"
tiny="$networks $settings"
weights="weights.safetensors weights-ema.safetensors losses.npz samples/final.png"
# shellcheck disable=SC2086
{
  OMP_NUM_THREADS=1 run one train $tiny --iterations 12
  OMP_NUM_THREADS=2 run two train $tiny --iterations 12 --recompute
  same one two $weights
  run stopped train $tiny --iterations 5
  rm "$dir/stopped/weights.safetensors"
  run stopped train $tiny --iterations 12 --resume
  same one stopped $weights
  OMP_NUM_THREADS=1 run stored train $tiny --iterations 8 --storage bfloat16
  OMP_NUM_THREADS=2 run stored_two train $tiny --iterations 4 --storage bfloat16 --recompute
  OMP_NUM_THREADS=2 run stored_two train $tiny --iterations 8 --storage bfloat16 --recompute --resume
  same stored stored_two $weights
  # Another prior than the recipe's is that of the file.
  run standard train $tiny --prior standard --iterations 2
  run standard train --data "$dir/latents" --iterations 4 --steps 2 --samples 4 --resume
  run standard_s sample --load "$dir/standard/weights.safetensors" --sampler euler --steps 2 --count 2 --shared 1
  run plain train $settings --recipe sit-tiny --embedding 16 --depth 1 --heads 2 --iterations 3 --class-dropout 0
}
[ -s "$dir/one/report.html" ] || fail "no report"

draw="sample --load $dir/one/weights-ema.safetensors --count 7 --steps 3"
# shellcheck disable=SC2086
{
  for sampler in sde euler heun; do
    run drawn_$sampler $draw --sampler $sampler --guidance 1.5 --shared 0
  done
  cmp -s "$dir/drawn_euler/samples.npz" "$dir/drawn_heun/samples.npz" && fail "two samplers, one result"
  run adaptive sample --load "$dir/one/weights-ema.safetensors" --count 2 --solver dopri5 --tolerance 1e-2 --shared 0
  # The same images in other parts, and of the same classes by name.
  OMP_NUM_THREADS=1 run parts $draw --sampler sde --guidance 1.5 --sample-batch 3 --shared 0
  same drawn_sde parts samples.npz
  run named $draw --sampler sde --guidance 1.5 --classes 0,1,2,3,4,5,6,7,8,9 --shared 0
  same drawn_sde named samples.npz
  run other $draw --sampler sde --guidance 1.5 --classes 3 --shared 0
  cmp -s "$dir/drawn_sde/samples.npz" "$dir/other/samples.npz" && fail "--classes has no effect"
  run weaker $draw --sampler sde --shared 0
  cmp -s "$dir/drawn_sde/samples.npz" "$dir/weaker/samples.npz" && fail "--guidance has no effect"
  run decoded $draw --sampler euler --decoder "$dir/images/autoencoder.safetensors" --shared 1
}
[ -s "$dir/decoded/shared-z-1.png" ] || fail "no shared z"
run losses evaluate --load "$dir/one/weights.safetensors" --data "$dir/latents" --count 5 --times 2 \
  --samples 6 --sampler euler --steps 2
grep -q "classes recognised in 6 samples" "$dir/err" "$dir/out" || fail "no classes recognised"
[ -s "$dir/losses/report.html" ] || fail "no report of losses"

# Weights of others, for which the latents have to be multiplied.
LC_ALL=C sed 's/"set":/"sat":/' "$dir/one/weights.safetensors" >"$dir/others.safetensors"
for factor in 1 0.5; do
  # shellcheck disable=SC2086
  run others_$factor evaluate --load "$dir/others.safetensors" --data "$dir/latents" $networks --count 5 --times 1 \
    --samples 0 --latent-factor $factor
done
cmp -s "$dir/others_1/metrics.json" "$dir/others_0.5/metrics.json" && fail "evaluate --latent-factor has no effect"

# A file of latents that is cut while it is read.
mkdir -p "$dir/cut/train"
cp "$dir/latents/train/latents-00000.safetensors" "$dir/cut/train/"
# shellcheck disable=SC2086
"$program" train $networks --data "$dir/cut" --batch 6 --micro-batch 4 --iterations 100000 --checkpoint-every 1 \
  --sample-every 0 --output "$dir/of_cut" >"$dir/out" 2>"$dir/err" &
training=$!
tries=0
until ls "$dir/of_cut/checkpoints/"*.safetensors >/dev/null 2>&1 || [ $tries -gt 300 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
truncate -s 3000 "$dir/cut/train/latents-00000.safetensors"
wait $training
[ $? -eq 1 ] || fail "no status 1 of a training whose latents were cut"
grep -q "cut/train/latents-00000.safetensors: expected a file of latents that stays as it is" "$dir/err" ||
  fail "no clear error of latents that were cut: $(cat "$dir/err")"

# Latents of images; files that are there are kept.
make="latents --images $dir/images/train.npz --autoencoder $dir/images/autoencoder.safetensors --per-file 25 --batch 7"
# shellcheck disable=SC2086
{
  OMP_NUM_THREADS=1 run made $make --flip --kind moments
  run again $make --flip --kind moments
  files="train/latents-00000.safetensors train/latents-00001.safetensors train/latents-00002.safetensors"
  same made again $files
  rm "$dir/again/train/latents-00001.safetensors"
  touch -d '2001-01-01' "$dir/again/train/latents-00000.safetensors"
  run again $make --flip --kind moments
  same made again $files
  [ "$(date -r "$dir/again/train/latents-00000.safetensors" +%Y)" = 2001 ] || fail "a file was made again"
  refused "expected latents of these images, autoencoder and options, found others" \
    "$program" $make --kind moments --output "$dir/again"
  run again $make --kind sample --seed 3 --overwrite
  cmp -s "$dir/made/train/latents-00000.safetensors" "$dir/again/train/latents-00000.safetensors" &&
    fail "--overwrite has no effect"
  # shellcheck disable=SC2086
  run on_moments train --data "$dir/made" $networks --latent-factor 20 --mirror --batch 4 --iterations 2 \
    --steps 1 --samples 2
}

# A folder of PNG files for each class, and one of PNG and JPEG files whatever their names say.
pictures="$(dirname "$0")/../golden/pictures"
vae="--autoencoder $dir/images/autoencoder.safetensors"
mkdir -p "$dir/png/a" "$dir/png/b"
for file in a/1 a/2 b/1; do cp "$dir/images/preview.png" "$dir/png/$file.png"; done
# shellcheck disable=SC2086
run of_png latents --images "$dir/png" $vae
[ -s "$dir/of_png/train/latents-00000.safetensors" ] || fail "no latents of PNG files"
mkdir -p "$dir/jpg/a" "$dir/jpg/b"
cp "$pictures/colour.jpg" "$dir/jpg/a/1.JPEG"
cp "$pictures/progressive.jpg" "$dir/jpg/a/2.png"
head -c 600 "$pictures/grey.jpg" >"$dir/jpg/b/1.jpg"
# shellcheck disable=SC2086
if "$program" latents --images "$dir/jpg" $vae --output "$dir/of_jpg" 2>&1 | grep -q "built without libjpeg"; then
  echo "skipped: JPEG files, of which this program has no reader"
else
  # What was made before a file that is cut stays, and is gone on from.
  refused "b/1.jpg: expected a whole JPEG, but libjpeg says: Premature end" \
    "$program" latents --images "$dir/jpg" $vae --per-file 1 --output "$dir/of_jpg"
  [ -s "$dir/of_jpg/train/latents-00001.safetensors" ] || fail "a damaged file loses the latents of others"
  cp "$pictures/cmyk.jpg" "$dir/jpg/b/1.jpg"
  run of_jpg latents --images "$dir/jpg" $vae --per-file 1
  [ -s "$dir/of_jpg/train/latents-00002.safetensors" ] || fail "no latents of JPEG files"
fi
# Pictures of any size become those of one; an archive is read piece by piece, also what `sample` wrote.
mkdir -p "$dir/any/a"
cp "$dir/images/preview.png" "$dir/one/samples/final.png" "$dir/any/a"
# shellcheck disable=SC2086
{
  run of_any latents --images "$dir/any" $vae --size 16
  grep -qaF '"shape":[2,4,8,8]' "$dir/of_any/train/latents-00000.safetensors" || fail "--size has no effect"
  run of_samples latents --images "$dir/decoded/samples.npz" $vae --size 16 --per-file 4 --batch 3
  grep -qaF '"shape":[3,4,8,8]' "$dir/of_samples/train/latents-00001.safetensors" || fail "no latents of samples"
}

# Feature files, a latent each: the last bytes of the stand-in's file are 60 of 4 x 16 x 16 floats.
npy() { # type, shape; the values come in
  printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '$1', 'fortran_order': False, 'shape': $2, }"
  cat
}
features="$dir/features/imagenet256_features"
labels="$dir/features/imagenet256_labels"
mkdir -p "$features" "$labels"
tail -c $((60 * 4096)) "$dir/latents/train/latents-00000.safetensors" >"$dir/numbers"
for k in 0 1 2 3 4 5 6 7 8 9 10; do
  shape="(1, 4, 16, 16)"
  [ $k -eq 3 ] && shape="(4, 16, 16)"
  tail -c +$((k * 4096 + 1)) "$dir/numbers" | head -c 4096 | npy '<f4' "$shape" >"$features/$k.npy"
  printf "\\00$((k % 8))\\0\\0\\0\\0\\0\\0\\0" | npy '<i8' "(1,)" >"$labels/$k.npy"
done
printf '\011\0\0\0\0\0\0\0' | npy '<i8' "()" >"$labels/10.npy"
run of_features latents --features "$dir/features" --per-file 8
tail -c $((3 * 4096)) "$dir/of_features/train/latents-00001.safetensors" >"$dir/last"
head -c $((11 * 4096)) "$dir/numbers" | tail -c $((3 * 4096)) | cmp -s - "$dir/last" || fail "other latents of features"
grep -qaF '"latent_scale":"0.18215"' "$dir/of_features/train/latents-00001.safetensors" || fail "no scale of features"
# shellcheck disable=SC2086
run on_features train --data "$dir/of_features" $networks --batch 4 --iterations 1 --steps 1 --samples 2

# What is wrong.
cp -r "$dir/features" "$dir/bad_features"
printf '\0\0\0\0' | npy '<f4' "(1,)" >"$dir/bad_features/imagenet256_features/10.npy"
mkdir "$dir/mixed"
cp -r "$dir/latents/test" "$dir/mixed/test"
cp -r "$dir/of_png/train" "$dir/mixed/train"
wrong() { # words, then options
  words=$1
  shift
  refused "$words" "$program" "$@" --output "$dir/wrong"
}
# shellcheck disable=SC2086
{
  wrong "expected labels below 5 in all files, found 9" train $tiny --class-count 5
  wrong "expected a tensor 'latents_flip'" train $tiny --mirror
  wrong "expected latents whose numbers are near 1" train $tiny --latent-factor 0.001
  wrong "expected latents in files train/*.safetensors, found none" train --data "$dir/one/figures" $networks
  wrong "--classes: expected labels 0 to 9, found 10" $draw --classes 10
  wrong "trained with --class-dropout above 0" sample --load "$dir/plain/weights.safetensors" --guidance 2
  wrong "trained with --class-dropout above 0" train $tiny --class-dropout 0 --guidance 2
  wrong "--classes: expected labels 0 to 9, found 99" train $tiny --classes 99
  wrong "--guidance-channels: expected at most the 4 channels" $draw --guidance 2 --guidance-channels 5
  wrong "option --guidance-from has no effect without --guidance" $draw --guidance-from 0.5
  wrong "option --classes has no effect with --samples 0" \
    evaluate --load "$dir/one/weights.safetensors" --data "$dir/latents" --samples 0 --classes 3
  wrong "; --sampler euler, heun or dopri5 needs no score" train $tiny --encoder-input x0+x1 --sampler sde
  wrong "expected latents of 16,16,4 (height, width, channels) as those of the test, found 265,331,4" \
    evaluate --load "$dir/one/weights.safetensors" --data "$dir/mixed"
  refused "expected no file of latents beside the 1 of these images" "$program" latents \
    --images "$dir/images/train.npz" --autoencoder "$dir/images/autoencoder.safetensors" --per-file 60 \
    --output "$dir/again"
  rm "$dir/again/train/latents-00001.safetensors"
  wrong "expected to be one of '3' files of latents, found 2 here" train --data "$dir/again" $networks
  wrong "option --steps: sde takes at least 2" sample --load "$dir/one/weights.safetensors" --steps 1
  wrong "expected a tensor 'encoder.down_blocks.0.resnets.0.conv1.weight'" \
    $draw --decoder "$dir/one/weights.safetensors"
  wrong "expected an array 'arr_0'" latents --images "$dir/one/losses.npz" \
    --autoencoder "$dir/images/autoencoder.safetensors"
  cp "$dir/one/samples/final.png" "$dir/png/b/2.png"
  wrong "b/2.png: expected " latents --images "$dir/png" --autoencoder "$dir/images/autoencoder.safetensors"
  wrong "expected options --images and --autoencoder, or --features, got --images" latents --images "$dir/any"
  wrong "option --size has no effect with --features" latents --features "$dir/features" --size 16
  wrong "option --features-scale has no effect without --features" $make --features-scale 1
  wrong "expected a folder *_features of files 0.npy, 1.npy, ..., found none" latents --features "$dir/any"
  wrong "imagenet256_features/10.npy: expected a latent [1, channels, height, width] or [channels, height, width], found [1]" \
    latents --features "$dir/bad_features"
  rm "$labels/7.npy"
  wrong "imagenet256_labels/7.npy: cannot read" latents --features "$dir/features"
  wrong "option --seed has no effect without --kind sample" $make --seed 3
  wrong "option --decoder: expected the file of an autoencoder's weights, got ''" $draw --decoder ""
  wrong "option --latent-factor has no effect without --recipe" \
    evaluate --load "$dir/one/weights.safetensors" --data "$dir/latents" --latent-factor 2
  wrong "; --size brings pictures of any size to one" latents --images "$dir/any" $vae
  head -c 9000 "$dir/images/train.npz" >"$dir/cut.npz"
  wrong "cut.npz: zip: expected the end record of a zip archive at its end, found none: truncated" \
    latents --images "$dir/cut.npz" $vae
  cp "$dir/images/train.npz" "$dir/damaged.npz"
  printf 'damaged' | dd of="$dir/damaged.npz" bs=1 seek=5000 conv=notrunc 2>/dev/null
  wrong "damaged.npz: 'arr_0.npy': zip: expected data with the directory's checksum, found others" \
    latents --images "$dir/damaged.npz" $vae
  wrong "found no file */*.png, .jpg or .jpeg" latents --images "$dir/one/figures" --autoencoder "$dir/images/autoencoder.safetensors"
  head -c 3000 "$dir/latents/train/latents-00000.safetensors" >"$dir/latents/train/latents-00001.safetensors"
  wrong "latents-00001.safetensors" train $tiny
  mkdir -p "$dir/large/test"
  cp "$dir/made/train/latents-00000.safetensors" "$dir/large/test/"
  sed -i 's/"latents"/"latentx"/' "$dir/large/test/latents-00000.safetensors"
  wrong "expected a tensor 'latents'" evaluate --load "$dir/one/weights.safetensors" --data "$dir/large"
}
finish
