#!/usr/bin/env bash
# From nothing to a translator of everyday French in about ten minutes: installs into .venv, shows the model that comes
# with the package, trains configs/phrasebook.yaml on the embedded corpus, scores it on held-out sentences and translates
# a few. Safe to run again: training goes on where it stopped, or is found done. Overrides: quickstart.sh section.key=value …
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" ""

output=runs/phrasebook
for override in "$@"; do
    case "$override" in output=*) output="${override#output=}" ;; esac
done

translator translate fr-en "Où est la gare ?"  # the model that comes with the package

translator train configs/phrasebook.yaml "$@"
translator evaluate "$output" --by construction
translator translate "$output" \
    "Où est la gare ?" \
    "Je ne l'ai jamais vu." \
    "Ma sœur a acheté trois livres hier." \
    "Est-ce qu'il y a du pain ?"
