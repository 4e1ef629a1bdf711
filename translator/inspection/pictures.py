"""PNG and SVG pictures of attention maps and projections. Requires matplotlib (the extra `inspect`)."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from translator.inspection.attention_maps import AttentionMap
from translator.inspection.embeddings import Projection
from translator.inspection.reading import InspectionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["png", "svg"]

_BLUE = "#1257c4"
_MIN_DRAWN_WEIGHT = 0.01
_TITLES = {"encoder": "encoder self-attention", "decoder": "decoder self-attention", "cross": "cross-attention"}


def attention_picture(
    attention: AttentionMap, form: Format, *, layer: int | None = None, head: int | None = None
) -> bytes:
    """Return a picture of attention weights.

    With a layer and a head: two columns of words connected by lines, and the same weights as a map. Otherwise a grid of
    maps: all layers and heads, the heads of one layer, or one head of each layer.

    Args:
        attention: weights of one kind of attention.
        form: file format.
        layer: layer to draw, from 1; None for all.
        head: head to draw, from 1; None for all.

    Raises:
        InspectionError: if the layer or head does not exist, or matplotlib is not installed.
    """
    attention.check(layer, head)
    if layer is not None and head is not None:
        return _rendered(_one_head(attention, layer, head), form)
    return _rendered(_grid(attention, layer, head), form)


def projection_picture(projection: Projection, form: Format) -> bytes:
    """Return a scatter plot of words in 2 or 3 dimensions.

    Raises:
        InspectionError: if matplotlib is not installed.
    """
    figure = _figure(9, 7)
    is_3d = projection.points.shape[1] == 3
    axes: Any = figure.add_subplot(projection="3d" if is_3d else None)
    axes.scatter(*projection.points.T, color=_BLUE, s=18)
    for word, point in zip(projection.words, projection.points, strict=True):
        axes.text(*point, f" {word}", parse_math=False, fontsize=10)
    axes.margins(0.12)
    names = ("x", "y", "z")
    for name, fraction in zip(names, projection.explained, strict=False):
        getattr(axes, f"set_{name}label")(f"{fraction:.0%} of the variance")
    return _rendered(figure, form)


def _one_head(attention: AttentionMap, layer: int, head: int) -> Figure:
    """Draw one head as two columns and as a map."""
    rows, columns = len(attention.queries), len(attention.keys)
    figure = _figure(6 + 0.3 * columns + 2, 1.6 + 0.28 * max(rows, columns, 6))
    figure.suptitle(f"{_TITLES[attention.kind]}, layer {layer}, head {head}", fontsize=12)
    left, right = figure.subplots(1, 2, width_ratios=(5, 2 + 0.3 * columns))
    _draw_columns(left, attention, layer, head)
    right.imshow(attention.head(layer, head) ** 0.5, cmap="Blues", vmin=0, vmax=1)
    right.set_xticks(range(columns), attention.keys, rotation=60, ha="left", rotation_mode="anchor", parse_math=False)
    right.set_yticks(range(rows), attention.queries, parse_math=False)
    right.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0, labelsize=9)
    return figure


def _draw_columns(axes: Axes, attention: AttentionMap, layer: int, head: int) -> None:
    """Draw two columns of words, connected by lines whose width is the weight."""
    weights = attention.head(layer, head)
    for i, row in enumerate(weights):
        for j, weight in enumerate(row):
            if weight >= _MIN_DRAWN_WEIGHT:
                strength = float(weight)
                axes.plot((0, 1), (i, j), color=_BLUE, alpha=max(0.06, strength), linewidth=0.8 + 4 * strength)
    for x, labels, alignment in ((-0.03, attention.queries, "right"), (1.03, attention.keys, "left")):
        for y, label in enumerate(labels):
            axes.text(x, y, label, ha=alignment, va="center", fontsize=10, parse_math=False)
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylim(max(weights.shape) - 0.5, -0.8)
    axes.axis("off")


def _grid(attention: AttentionMap, layer: int | None, head: int | None) -> Figure:
    """Draw a small map for each selected layer and head, one row per layer."""
    layers = range(1, len(attention.layers) + 1) if layer is None else [layer]
    heads = range(1, max(len(attention.layers[number - 1]) for number in layers) + 1) if head is None else [head]
    figure = _figure(1 + 1.5 * len(heads), 1 + 1.5 * len(layers) * len(attention.queries) / len(attention.keys))
    figure.suptitle(_TITLES[attention.kind], fontsize=12)
    grid = figure.subplots(len(layers), len(heads), squeeze=False)
    for row, number in zip(grid, layers, strict=True):
        for axes, column in zip(row, heads, strict=True):
            axes.set_xticks([])
            axes.set_yticks([])
            if column > len(attention.layers[number - 1]):
                axes.axis("off")
                continue
            axes.imshow(attention.head(number, column) ** 0.5, cmap="Blues", vmin=0, vmax=1)
            axes.set_title(f"layer {number}, head {column}", fontsize=8, pad=3)
    return figure


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, limited to 40 by 40, without matplotlib's global state.

    Raises:
        InspectionError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InspectionError(
            "PNG and SVG pictures require matplotlib, which is not installed. "
            "Run: pip install 'translator[inspect]', or write an .html page."
        ) from error
    return Figure(figsize=(min(width, 40), min(height, 40)), layout="constrained")


def _rendered(figure: Figure, form: Format) -> bytes:
    """Render to bytes, which are the same for the same figure."""
    from matplotlib import rc_context

    file = BytesIO()
    with rc_context({"svg.hashsalt": "translator"}):
        figure.savefig(file, format=form, dpi=120, metadata={"Date": None} if form == "svg" else None)
    return file.getvalue()
