#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_science: what it generates has the means and deviations that formulas say, its judges know what is right from
# what is wrong, both whole runs come to a judgement, and what is refused.
# Usage: science.sh VRFM_SCIENCE VRFM_TABLE FOLDER_OF_THE_SCRIPTS
. "$(dirname "$0")/common.sh"
science=$1 table=$2 scripts=$3
export OMP_WAIT_POLICY=passive

run() { "$@" >"$dir/out" 2>"$dir/err" || fail "$*: $(cat "$dir/err")"; }
calorimeter() { run "$science" calorimeter "$@"; }
lorenz() { run "$science" lorenz "$@"; }
inspect() { run "$table" inspect "$1"; }

# Photons of 100 GeV. Each column's mean is within four standard errors of the Gamma profile behind an exponential
# depth, which is summed up here in steps of 1/50 X0; that of the response's deviation is sqrt(10 MeV / 100 GeV).
calorimeter generate --count 3000 --layers 40 --lowest 1e5 --highest 1.0001e5 --output "$dir/showers.npz"
calorimeter generate --count 3000 --layers 40 --lowest 1e5 --highest 1.0001e5 --output "$dir/again.npz"
cmp -s "$dir/showers.npz" "$dir/again.npz" || fail "other showers of the same seed"
calorimeter rows --data "$dir/showers.npz" --output "$dir/rows.npz"
inspect "$dir/rows.npz:rows"
awk '
  function distance(a, b) { return a > b ? a - b : b - a }
  $1 ~ /^[0-9]+$/ && NF >= 6 { mean[$1] = $3; deviation[$1] = $4 }
  END {
    n = 3000; b = 0.5; a = 1 + b * (log(1e5 / 8) + 0.5); step = 1 / 50
    for (k = 0; k < 4000; ++k) total += g[k] = exp((a - 1) * log(b * (k + 0.5) * step) - b * (k + 0.5) * step)
    for (i = 0; i < 2000; ++i) {  # the depth is that of a conversion between i and i + 1
      p = exp(-i * step * 7 / 9) - exp(-(i + 1) * step * 7 / 9)
      for (k = 0; i + k < 2000; ++k) layer[int((i + k + 0.5) * step)] += p * g[k] / total
    }
    if (distance(mean[0], 1) > 4 * 0.01 / sqrt(n) + 0.0003) print "response " mean[0]
    if (distance(deviation[0], 0.01) > 4 * 0.01 / sqrt(2 * n)) print "deviation of the response " deviation[0]
    for (j = 3; j < 40; ++j) {
      if (distance(mean[j + 1], layer[j]) > 4 * deviation[j + 1] / sqrt(n) + 1e-4) print "layer " j ": " mean[j + 1] ", not " layer[j]
    }
  }' "$dir/out" >"$dir/wrong"
[ -s "$dir/wrong" ] && fail "$(cat "$dir/wrong")"
inspect "$dir/showers.npz:start_depths"
awk '$1 == "start_depths" && NF > 5 && ($3 < 1.286 - 0.1 || $3 > 1.286 + 0.1) { exit 1 }' "$dir/out" || fail "starts: $(cat "$dir/out")"

# True showers of another seed are judged as good as the truth, those of an untrained model are not.
calorimeter generate --count 2000 --output "$dir/train.npz"
calorimeter generate --count 2000 --seed 2 --output "$dir/truth.npz"
calorimeter rows --data "$dir/train.npz" --output "$dir/rows.npz"
run "$table" train --data "$dir/rows.npz:rows" --condition "$dir/rows.npz:incident_energies" --standardize log \
  --iterations 3 --width 8 --blocks 1 --latent 2 --output "$dir/model"
run "$table" sample --load "$dir/model" --count 2000 --steps 1 --condition-file "$dir/truth.npz:incident_energies" \
  --output "$dir/drawn.npz"
calorimeter showers --rows "$dir/drawn.npz" --data "$dir/truth.npz" --output "$dir/vrfm-1.npz"
cp "$dir/train.npz" "$dir/rfm-20.npz"
run "$table" encode --load "$dir/model" --data "$dir/rows.npz:rows" \
  --condition-file "$dir/rows.npz:incident_energies" --output "$dir/codes.npz"
calorimeter judge --truth "$dir/truth.npz" --other "$dir/train.npz" --codes "$dir/codes.npz" \
  --showers "$dir/vrfm-1.npz" "$dir/rfm-20.npz" --output "$dir/judgement"
awk -F'|' '/RFM/ { layers[$2] = $4; centre[$2] = $7 }
  END { exit !(layers[" RFM "] < 0.02 && centre[" RFM "] < 0.02 && layers[" V-RFM "] > 0.05) }' \
  "$dir/judgement/table.md" || fail "judgement: $(cat "$dir/judgement/table.md")"
for file in table.md calorimeter.png; do
  [ -s "$dir/judgement/$file" ] || fail "judge wrote no $file"
done

# Lorenz' system: the means of d(x^2)/dt and dz/dt over the attractor, x y - x^2 and x y - 8/3 z, are within 3.5 standard
# errors of 0, where states whose turns are in phase fail; what comes is what the equations say, in other steps.
lorenz generate --count 20000 --output "$dir/cases.csv"
awk -F, '
  function velocity(k, x, y, z) { dx[k] = 10 * (y - x); dy[k] = x * (28 - z) - y; dz[k] = x * y - 8 / 3 * z }
  NR > 1 {
    noise += ($4 - $1) ^ 2 + ($5 - $3) ^ 2
    d = $1 * $2 - $1 * $1; first += d; first_square += d * d
    d = $1 * $2 - 8 / 3 * $3; second += d; second_square += d * d
    ++n
  }
  NR > 1 && NR < 12 {
    a = $1; b = $2; c = $3; h = 0.002
    for (i = 0; i < 500; ++i) {
      velocity(1, a, b, c)
      velocity(2, a + h / 2 * dx[1], b + h / 2 * dy[1], c + h / 2 * dz[1])
      velocity(3, a + h / 2 * dx[2], b + h / 2 * dy[2], c + h / 2 * dz[2])
      velocity(4, a + h * dx[3], b + h * dy[3], c + h * dz[3])
      a += h / 6 * (dx[1] + 2 * dx[2] + 2 * dx[3] + dx[4])
      b += h / 6 * (dy[1] + 2 * dy[2] + 2 * dy[3] + dy[4])
      c += h / 6 * (dz[1] + 2 * dz[2] + 2 * dz[3] + dz[4])
    }
    if ((a - $6) ^ 2 + (b - $7) ^ 2 + (c - $8) ^ 2 > 0.01) print "row " NR ": " $6, $7, $8 ", not " a, b, c
  }
  END {
    if ((noise / n / 2 - 1) ^ 2 > 0.05 ^ 2) print "noise " noise / n / 2
    if (first * first > 3.5 ^ 2 * first_square) print "<x y - x^2> is " first / n
    if (second * second > 3.5 ^ 2 * second_square) print "<x y - 8/3 z> is " second / n
  }' "$dir/cases.csv" >"$dir/wrong"
[ -s "$dir/wrong" ] && fail "$(cat "$dir/wrong")"

# Ensembles of the climate are calibrated and blunt; exact ones are calibrated and sharp; all of one member are neither.
lorenz generate --count 200 --seed 2 --output "$dir/truth.csv"
cut -d, -f6-8 "$dir/cases.csv" | head -n 4001 >"$dir/rfm-1.csv"
awk 'NR == 1 { print } NR > 1 && NR <= 201 { row[NR - 2] = $0 } END { for (k = 0; k < 4000; ++k) print row[k % 200] }' \
  "$dir/rfm-1.csv" >"$dir/vrfm-1.csv"
lorenz judge --truth "$dir/truth.csv" --ensembles "$dir/rfm-1.csv" "$dir/vrfm-1.csv" --archive 5000 --output "$dir/forecasts"
awk -F'|' 'NR > 2 { crps[$2] = $4 + 0; inside[$2] = $6 + 0 }
  function near(x, y) { return x > y - 8 && x < y + 8 }
  END { r = " RFM "; v = " V-RFM "; e = " exact forecasts "
    exit !(near(inside[r], 50) && near(inside[e], 50) && inside[v] < 10 && crps[e] < 0.42 && crps[r] > 0.5 && crps[v] > crps[r]) }' \
  "$dir/forecasts/table.md" || fail "forecasts: $(cat "$dir/forecasts/table.md")"
[ -s "$dir/forecasts/lorenz.png" ] || fail "judge wrote no lorenz.png"

# The whole runs, as short as can be.
brief="--iterations 2 --width 8 --blocks 1 --features 2 --posterior-width 8 --posterior-blocks 1 --batch 32 --no-cosine"
TRAIN=$brief COUNT=200 CASES=20 MEMBERS=2 ARCHIVE=2000 STEPS="1 2" run sh "$scripts/lorenz.sh" "$(dirname "$table")" "$dir/lorenz"
[ "$(grep -c RFM "$dir/lorenz/judgement/table.md")" -eq 4 ] || fail "lorenz.sh: $(cat "$dir/out")"
if "$science" calorimeter generate --count 1 --output "$dir/one.h5" >"$dir/out" 2>"$dir/err"; then
  TRAIN=$brief COUNT=200 TEST=40 STEPS="1 2" run sh "$scripts/calorimeter.sh" "$(dirname "$table")" "$dir/calorimeter"
  [ "$(grep -c RFM "$dir/calorimeter/judgement/table.md")" -eq 4 ] || fail "calorimeter.sh: $(cat "$dir/out")"
else
  grep -q "was built without HDF5" "$dir/err" || fail "one.h5: $(cat "$dir/err")"
fi

refused "expected a file of several arrays, *.h5 or *.npz, found 'x.npy'" "$science" calorimeter generate --output x.npy
refused "expected 8 MeV < lowest < highest, got 10000 and 1000" "$science" calorimeter generate --lowest 1e4 --highest 1e3 \
  --output "$dir/x.npz"
refused "--layers: must be a whole number from 3 to 1000, got 2" "$science" calorimeter generate --layers 2
refused "expected 2000 rows as in" "$science" calorimeter showers --rows "$dir/rfm-1.csv" --data "$dir/truth.npz" \
  --output "$dir/x.npz"
refused "such as rfm-4.h5, found 'rfm.npz'" "$science" calorimeter judge --truth "$dir/truth.npz" \
  --other "$dir/train.npz" --showers rfm.npz --output "$dir/none"
refused "--overwrite replaces them" "$science" lorenz judge --truth "$dir/truth.csv" --ensembles "$dir/rfm-1.csv" \
  --output "$dir/forecasts"
head -n 8001 "$dir/cases.csv" | cut -d, -f6-8 >"$dir/rfm-2.csv"
refused "members of 200 cases, found 3 columns and 8000 rows" "$science" lorenz judge --truth "$dir/truth.csv" --ensembles \
  "$dir/rfm-1.csv" "$dir/rfm-2.csv" --output "$dir/none"
[ -e "$dir/none" ] && fail "a refused judge left its folder"
finish
