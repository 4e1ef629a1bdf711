#!/usr/bin/env bash
# Train a translator of everyday French in about ten minutes: install into .venv, translate with the bundled model, train
# configs/phrasebook.yaml on the embedded corpus, evaluate on held-out sentences and translate a few.
# Can be run again: training resumes where it stopped. Overrides: quickstart.sh section.key=value …
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" ""

output=runs/phrasebook
for override in "$@"; do
    case "$override" in output=*) output="${override#output=}" ;; esac
done

translator translate fr-en "Où est la gare ?"  # the bundled model

translator train configs/phrasebook.yaml "$@"
translator evaluate "$output" --by construction
translator translate "$output" \
    "Où est la gare ?" \
    "Je ne l'ai jamais vu." \
    "Ma sœur a acheté trois livres hier." \
    "Est-ce qu'il y a du pain ?"
