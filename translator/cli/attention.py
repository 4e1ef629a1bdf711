"""`translator attention MODEL SENTENCE`: where the model attends, as a page or a picture."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from translator.cli.options import add_one_model, load_translator, output_ending
from translator.cli.streams import open_output

if TYPE_CHECKING:
    from translator.inspection.attention_maps import AttentionMaps

_KINDS = ("encoder", "decoder", "cross")


def add_parser(subparsers: Any) -> None:
    """Declare the verb."""
    parser = subparsers.add_parser(
        "attention",
        help="draw where the model attends",
        description="Translate a sentence and draw the attention of every layer and head: as a page for any browser, "
        "or as a picture of one head (--layer and --head) or of a grid of them.",
    )
    add_one_model(parser)
    parser.add_argument("sentence", metavar="SENTENCE", help="in the source language")
    parser.add_argument("-o", "--output", metavar="FILE", default="attention.html", help=".html, .png or .svg")
    parser.add_argument("--target", metavar="TEXT", help="a translation to read instead of the model's own")
    parser.add_argument("--kind", choices=_KINDS, default="encoder", help="attention drawn, or shown first on the page")
    parser.add_argument("--layer", type=int, metavar="N", help="from 1; in a picture: draw no other")
    parser.add_argument("--head", type=int, metavar="N", help="from 1; in a picture: draw no other")
    parser.add_argument("--words", action="store_true", help="merge pieces to words; on a page: at first")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compute the maps and write them."""
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
    """The file that was asked for."""
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
