#!/usr/bin/env bash
# Draw docs/pictures with a model of configs/phrasebook.yaml.
# Usage: bash scripts/pictures.sh [MODEL]
model="$(realpath "${1:-runs/phrasebook}")"
source "$(dirname "$0")/environment.sh" inspect

mkdir -p docs/pictures
sentence="Le professeur a prêté le livre à l'étudiant."
translator attention "$model" "$sentence" --kind cross --layer 2 --head 5 --words --output docs/pictures/cross.png
translator attention "$model" "$sentence" --kind encoder --layer 3 --head 1 --words --output docs/pictures/encoder.png
translator attention "$model" "$sentence" --kind encoder --words --output docs/pictures/grid.png
words="$(mktemp)"
trap 'rm -f "$words"' EXIT
printf '%s\n' grand grande petit petite lundi dimanche hier demain pain fromage vin bleu bleue vert verte > "$words"
translator embeddings "$model" plot "$words" --mean --output docs/pictures/embeddings.png

# The same words in a model of the same seed after one training step (docs/training.md).
first="$(dirname "$model")/first"
if [ -d "$first" ]; then
    translator embeddings "$first" plot "$words" --mean --output docs/pictures/embeddings-before.png
fi

python - << 'EOF'
from matplotlib.figure import Figure

from translator.model.embedding import sinusoids

table = sinusoids(40, 192, "interleaved")
figure = Figure(figsize=(7.2, 3.2), layout="constrained")
vectors, cosines = figure.subplots(1, 2)
image = vectors.imshow(table.numpy(), aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
vectors.set(xlabel="dimension", ylabel="position")
figure.colorbar(image, ax=vectors)
cosines.plot((table[20] @ table.T / 96).numpy())
cosines.axvline(20, color="tab:gray", linewidth=0.8)
cosines.set(xlabel="position", ylabel="cosine with position 20")
figure.savefig("docs/pictures/positions.png", dpi=110)
EOF

# A screenshot of the HTML page, if chromium is installed.
if command -v chromium > /dev/null; then
    page="$(mktemp --suffix=.html)"
    trap 'rm -f "$words" "$page"' EXIT
    translator attention "$model" "$sentence" --kind cross --layer 2 --head 5 --output "$page"
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=3000 \
        --window-size=1600,680 --screenshot=docs/pictures/page.png "file://$page"
fi
