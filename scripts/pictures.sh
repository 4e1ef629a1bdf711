#!/usr/bin/env bash
# Makes the pictures in docs/pictures from a model of configs/phrasebook.yaml.
# Usage: bash scripts/pictures.sh [MODEL]
model="$(realpath "${1:-runs/phrasebook}")"
source "$(dirname "$0")/environment.sh" inspect

mkdir -p docs/pictures
sentence="Le professeur a prêté le livre à l'étudiant."
translator attention "$model" "$sentence" --kind cross --layer 2 --head 5 --words --output docs/pictures/cross.png
translator attention "$model" "$sentence" --kind encoder --layer 3 --head 2 --words --output docs/pictures/encoder.png
translator attention "$model" "$sentence" --kind encoder --words --output docs/pictures/grid.png
words="$(mktemp)"
trap 'rm -f "$words"' EXIT
printf '%s\n' grand grande petit petite lundi dimanche hier demain pain fromage vin bleu bleue vert verte > "$words"
translator embeddings "$model" plot "$words" --mean --output docs/pictures/embeddings.png

# The page as a browser draws it, where there is one.
if command -v chromium > /dev/null; then
    page="$(mktemp --suffix=.html)"
    trap 'rm -f "$words" "$page"' EXIT
    translator attention "$model" "$sentence" --kind cross --layer 2 --head 5 --output "$page"
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=3000 \
        --window-size=1600,680 --screenshot=docs/pictures/page.png "file://$page"
fi
