"""`translator attention MODEL SENTENCE`: attention maps as an HTML page or an image."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from translator.cli.options import add_one_model, load_translator, output_ending
from translator.cli.streams import open_output

if TYPE_CHECKING:
    from translator.inspection.attention_maps import AttentionMaps

_KINDS = ("encoder", "decoder", "cross")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Translate a sentence and draw the attention maps of all layers and heads: as an HTML page, or as "
        "an image of one head (--layer and --head) or of a grid of heads."
    )
    add_one_model(parser)
    parser.add_argument("sentence", metavar="SENTENCE", help="sentence in the source language")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="attention.html",
        help="output file: .html, .png or .svg (default: %(default)s)",
    )
    parser.add_argument("--target", metavar="TEXT", help="translation to show instead of the model's own")
    parser.add_argument(
        "--kind",
        choices=_KINDS,
        default="encoder",
        help="attention in an image, or shown first on the page (default: %(default)s)",
    )
    for name in ("layer", "head"):
        parser.add_argument(
            f"--{name}", type=int, metavar="N", help=f"{name}, from 1: the only one in an image, the first on the page"
        )
    parser.add_argument("--words", action="store_true", help="merge tokens into words; on the page, at first")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compute and write the maps."""
    ending = output_ending(arguments.output, ("html", "png", "svg"))
    translator = load_translator(arguments)
    from translator.inspection.attention_maps import attention_maps

    maps = attention_maps(translator, arguments.sentence, arguments.target)
    drawing = _draw(maps, ending, arguments)
    with open_output(arguments.output, []) as output:
        output.write(drawing)
    print(f"translator: {arguments.output} ({len(drawing) / 1000:,.0f} kB)", file=sys.stderr)
    return 0


def _draw(maps: AttentionMaps, ending: str, arguments: argparse.Namespace) -> bytes:
    """Return the content of the output file."""
    if ending == "html":
        from translator.inspection.pages import attention_page

        page = attention_page(
            maps,
            kind=arguments.kind,
            layer=1 if arguments.layer is None else arguments.layer,
            head=1 if arguments.head is None else arguments.head,
            is_words=arguments.words,
        )
        return page.encode()
    from translator.inspection.pictures import attention_picture

    chosen = maps.of(arguments.kind)
    form: Any = ending
    return attention_picture(
        chosen.as_words() if arguments.words else chosen, form, layer=arguments.layer, head=arguments.head
    )
