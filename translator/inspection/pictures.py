"""Pictures of attention and embeddings, PNG or SVG, by matplotlib: the extra `inspect`."""

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
_SHOWN_FROM = 0.01  # weights below are no line
_TITLES = {"encoder": "encoder self-attention", "decoder": "decoder self-attention", "cross": "cross-attention"}


def attention_picture(
    attention: AttentionMap, form: Format, *, layer: int | None = None, head: int | None = None
) -> bytes:
    """Attention as a picture.

    With a layer and a head: two columns of words joined by lines, and the map of the same weights. Otherwise the maps
    of all layers and heads, or of those of one layer, or of one head in each layer.

    Args:
        attention: of one kind.
        form: of the picture.
        layer: from 1.
        head: from 1.

    Raises:
        InspectionError: there is no such layer or head, or matplotlib is not installed.
    """
    attention.check(layer, head)
    if layer is not None and head is not None:
        return _rendered(_one_head(attention, layer, head), form)
    return _rendered(_grid(attention, layer, head), form)


def projection_picture(projection: Projection, form: Format) -> bytes:
    """Words as points in 2 or 3 dimensions.

    Raises:
        InspectionError: matplotlib is not installed.
    """
    figure = _figure(9, 7)
    is_3d = projection.points.shape[1] == 3
    axes: Any = figure.add_subplot(projection="3d" if is_3d else None)
    axes.scatter(*projection.points.T, color=_BLUE, s=18)
    for word, point in zip(projection.words, projection.points, strict=True):
        axes.text(*point, f" {word}", parse_math=False, fontsize=10)
    axes.margins(0.12)
    names = ("x", "y", "z")
    for name, share in zip(names, projection.explained, strict=False):
        getattr(axes, f"set_{name}label")(f"{share:.0%} of the variance")
    return _rendered(figure, form)


def _one_head(attention: AttentionMap, layer: int, head: int) -> Figure:
    """The two-column drawing of a head beside its map."""
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
    """Two columns of words, joined by lines as heavy as the attention."""
    weights = attention.head(layer, head)
    for i, row in enumerate(weights):
        for j, weight in enumerate(row):
            if weight >= _SHOWN_FROM:
                strength = float(weight)
                axes.plot((0, 1), (i, j), color=_BLUE, alpha=max(0.06, strength), linewidth=0.8 + 4 * strength)
    for x, labels, alignment in ((-0.03, attention.queries, "right"), (1.03, attention.keys, "left")):
        for y, label in enumerate(labels):
            axes.text(x, y, label, ha=alignment, va="center", fontsize=10, parse_math=False)
    axes.set_xlim(-0.5, 1.5)
    axes.set_ylim(max(weights.shape) - 0.5, -0.8)
    axes.axis("off")


def _grid(attention: AttentionMap, layer: int | None, head: int | None) -> Figure:
    """A small map for each layer and head that is asked for; a row for each layer."""
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
    """An empty figure of this size in inches, at most 40 either way; no state of matplotlib's is touched.

    Raises:
        InspectionError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InspectionError(
            "PNG and SVG pictures need matplotlib. Received: an installation without it. "
            "Run: pip install 'translator[inspect]'. Or ask for an .html page, which needs nothing."
        ) from error
    return Figure(figsize=(min(width, 40), min(height, 40)), layout="constrained")


def _rendered(figure: Figure, form: Format) -> bytes:
    """The picture's file; the same figure gives the same bytes."""
    from matplotlib import rc_context

    file = BytesIO()
    with rc_context({"svg.hashsalt": "translator"}):
        figure.savefig(file, format=form, dpi=120, metadata={"Date": None} if form == "svg" else None)
    return file.getvalue()
