"""`translator embeddings MODEL nearest | angle | plot | contexts`: word vectors."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from translator.cli.lines import to_json, write_line
from translator.cli.options import OptionError, add_one_model, load_translator, output_ending
from translator.cli.streams import open_output
from translator.file_input import expand_user, open_text

if TYPE_CHECKING:
    from translator.inspection.embeddings import Contexts, Embeddings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = (
        "Inspect word vectors: nearest neighbors, angles, projections, and the encodings of one word in "
        "several sentences."
    )
    add_one_model(parser)
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    nearest = actions.add_parser("nearest", help="tokens with the most similar vectors")
    nearest.add_argument("word", metavar="WORD")
    nearest.add_argument(
        "-n", "--count", type=int, default=10, metavar="N", help="number of tokens (default: %(default)s)"
    )
    nearest.add_argument("--whole-words", action="store_true", help="only tokens that begin a word")
    nearest.set_defaults(action=_nearest)
    angle = actions.add_parser("angle", help="angle between two words")
    angle.add_argument("first", metavar="WORD")
    angle.add_argument("second", metavar="WORD")
    angle.set_defaults(action=_angle)
    plot = actions.add_parser("plot", help="plot of words in 2 or 3 dimensions")
    plot.add_argument("file", metavar="FILE", help="text file with one word per line")
    plot.add_argument(
        "--dimensions", type=int, default=2, metavar="N", help="number of dimensions, 2 or 3 (default: %(default)s)"
    )
    plot.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="embeddings.html",
        help="output file: .html, .png or .svg (default: %(default)s)",
    )
    plot.set_defaults(action=_plot)
    contexts = actions.add_parser("contexts", help="embedding and encodings of one word in several sentences")
    contexts.add_argument("word", metavar="WORD")
    contexts.add_argument("sentences", metavar="SENTENCE", nargs="+", help="sentence that contains the word")
    contexts.set_defaults(action=_contexts)
    for action in (nearest, angle, plot):
        action.add_argument(
            "--target", action="store_true", help="use the target language instead of the source language"
        )
        action.add_argument("--mean", action="store_true", help="use the mean of the tokens of a word that has several")
    for action in (nearest, angle, contexts):
        action.add_argument("--json", action="store_true", help="write one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action."""
    status: int = arguments.action(arguments)
    return status


def _nearest(arguments: argparse.Namespace) -> int:
    """Write the nearest neighbors of a word and their cosines."""
    found = _embeddings(arguments).nearest(arguments.word, arguments.count, is_whole_words=arguments.whole_words)
    if arguments.json:
        _write(to_json({"word": arguments.word, "nearest": [asdict(neighbour) for neighbour in found]}))
    else:
        width = max((len(neighbour.piece) for neighbour in found), default=0)
        for neighbour in found:
            _write(f"{neighbour.piece:<{width}}  {neighbour.cosine:+.4f}")
    return 0


def _angle(arguments: argparse.Namespace) -> int:
    """Write the cosine and the angle between two words."""
    found = _embeddings(arguments).angle(arguments.first, arguments.second)
    text = f"cosine {found.cosine:+.4f}, angle {found.degrees:.2f} degrees"
    _write(to_json(asdict(found)) if arguments.json else text)
    return 0


def _plot(arguments: argparse.Namespace) -> int:
    """Plot the words of a file."""
    ending = output_ending(arguments.output, ("html", "png", "svg"))
    words = _words(arguments.file)
    projection = _embeddings(arguments).projection(words, arguments.dimensions)
    if ending == "html":
        from translator.inspection.pages import projection_page

        drawing = projection_page(projection).encode()
    else:
        from translator.inspection.pictures import projection_picture

        form: Any = ending
        drawing = projection_picture(projection, form)
    with open_output(arguments.output, []) as output:
        output.write(drawing)
    print(f"translator: {arguments.output} ({len(drawing) / 1000:,.0f} kB)", file=sys.stderr)
    return 0


def _contexts(arguments: argparse.Namespace) -> int:
    """Write the cosines between the encodings of a word, and those between its embeddings."""
    from translator.inspection.embeddings import Embeddings

    found = Embeddings(load_translator(arguments)).contexts(arguments.word, arguments.sentences)
    if arguments.json:
        value = {
            "word": found.word,
            "sentences": found.sentences,
            "embeddings": found.embeddings.tolist(),
            "encodings": found.encodings.tolist(),
            "to_embedding": found.to_embedding,
        }
        _write(to_json(value))
    else:
        for line in _context_lines(found):
            _write(line)
    return 0


def _context_lines(found: Contexts) -> list[str]:
    """Return the numbered sentences, then two tables of cosines."""
    lines = [f"{number}. {sentence}" for number, sentence in enumerate(found.sentences, start=1)]
    for title, cosines in (
        ("Static: cosines between the embeddings, which do not depend on the sentence", found.embeddings),
        ("Contextual: cosines between the encodings, the output of the encoder at the word", found.encodings),
    ):
        lines += ["", title]
        lines.append("    " + "".join(f"{number:>9}" for number in range(1, len(cosines) + 1)))
        lines += [f"{number:>4}" + "".join(f"{x:>+9.4f}" for x in row) for number, row in enumerate(cosines, start=1)]
    shown = ", ".join(f"{cosine:+.4f}" for cosine in found.to_embedding)
    return [*lines, "", f"Cosine of each encoding with the embedding: {shown}"]


def _words(path: str) -> list[str]:
    """Return the words of a file with one word per line; empty lines are skipped."""
    try:
        with open_text(expand_user(path)) as file:
            text = file.read().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise OptionError(f"FILE must be a text file with one word per line. Received: {path} ({reason}).") from error
    return [word for line in text.split("\n") if (word := line.strip())]


def _embeddings(arguments: argparse.Namespace) -> Embeddings:
    """Return the embeddings of the chosen language."""
    translator = load_translator(arguments)
    from translator.inspection.embeddings import Embeddings

    return Embeddings(translator, "target" if arguments.target else "source", is_mean=arguments.mean)


def _write(line: str) -> None:
    with open_output(None, []) as output:
        write_line(output, line)
