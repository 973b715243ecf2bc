#!/usr/bin/env bash
#
# A complete study: from a folder of DICOM files and a spreadsheet to a judged model.
#
#   bash study.sh [SPREADSHEET NEW_SCANS [RESULTS]]
#
# SPREADSHEET is a .csv file with a line for each image: its path (from where the spreadsheet is), patient, label, and
# what else is known, such as age, site and scanner. NEW_SCANS is a folder of images that nobody has labelled yet. Without
# them, scans are drawn, so that the script can be tried before there are any. RESULTS, study-results unless told, is a
# folder that is not there yet. docs/dicom-study.md walks through the steps.
#
# The network is small and the training short, so that all of it takes seconds. For real images leave out --image-size,
# --depths, --dims, --epochs, --batch-size and --lr: then it is MedMamba-T at 224 pixels.

set -euo pipefail # stop at the first step that fails

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
spreadsheet=${1:-}
new_scans=${2:-}
results=${3:-study-results}

if [[ -z $spreadsheet ]]; then
  node "$here/draw-scans.mjs" study-data
  spreadsheet=study-data/scans.csv
  new_scans=study-data/new
fi
if [[ -z $new_scans || -e $results ]]; then
  echo "Give a spreadsheet, a folder of new scans, and a folder for results that is not there yet ($results)." >&2
  exit 2
fi
mkdir -p "$results"

medmamba() { npx medmamba "$@"; }

# 1. Look before you train. What is wrong with the data makes every later number wrong: patients in two parts, one scan under
#    two names, a label that the scanner gives away. audit.html shows the pictures.
medmamba audit "$spreadsheet" --report "$results/audit-before"

# 2. Divide by patient: 70 % to learn from, 15 % to choose by, 15 % to judge on. --again replaces a division that the
#    spreadsheet has already. The table is new, the spreadsheet stays as it is, and patients get names that say nothing.
medmamba split "$spreadsheet" --out "$results/study.csv" --groups patient --again --seed 1

# 3. Look once more: leaks are gone. Shortcuts are not, for no division heals them; only other data do.
medmamba audit "$results/study.csv" --report "$results/audit"

# 4. Train. --window lung is how a radiologist would look at these slices; the checkpoint remembers it for all that follows.
medmamba train --data "$results/study.csv" --out "$results/run" --seed 1 \
  --window lung --channels 1 --image-size 64 \
  --depths 1,1 --dims 16,32 --epochs 12 --batch-size 8 --lr 2e-3

# 5. Judge, once, on patients of whom the network has seen nothing: by image, and by patient, which is what a doctor asks.
medmamba evaluate --checkpoint "$results/run/best.safetensors" --data "$results/study.csv" \
  --pool patient:mean --report "$results/report"

# 6. Predict: JSON for other programs.
medmamba predict --checkpoint "$results/run/best.safetensors" --json "$new_scans" >"$results/predictions.json"

# 7. Ask where the network looked. A map that lies on anything but the finding is a reason to go back to step 1.
medmamba explain --checkpoint "$results/run/best.safetensors" --out "$results/maps" "$new_scans"

echo "All of it is in $results: begin with audit/audit.html and report/report.html."
