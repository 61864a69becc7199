"""A chart of bars as SVG, with a ground of its own: it reads the same on a light page and on a dark one."""

from __future__ import annotations

from xml.sax.saxutils import escape

_WIDTH, _LABELS, _BAR, _GAP = 900, 375, 18, 8
_FONT = 'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"'
_INK, _FAINT, _OURS, _OTHERS = "#1f2328", "#59636e", "#0b7285", "#adb5bd"


def chart(panels, note):
    """Return the SVG text of panels one above the other.

    :param panels: (title, rows) each; a row is (label, value or None, text of the value, whether it is ours)
    :param note: a line at the bottom
    """
    parts, top = [], 20
    for title, rows in panels:
        parts.append(_text(20, top + 16, title, size=15, weight="600"))
        top += 34
        most = max((value for _, value, *_ in rows if value), default=1)
        for label, value, text, ours in rows:
            middle = top + _BAR / 2 + 4.5
            length = max((_WIDTH - _LABELS - 130) * (value or 0) / most, 1)
            parts.append(_text(_LABELS - 10, middle, label, anchor="end", weight="600" if ours else "400"))
            if value is not None:
                fill = _OURS if ours else _OTHERS
                parts.append(
                    f'<rect x="{_LABELS}" y="{top}" width="{length:.1f}" height="{_BAR}" rx="2" fill="{fill}"/>'
                )
            at = _LABELS + (length if value is not None else 0) + 8
            parts.append(_text(at, middle, text, weight="600" if ours else "400"))
            top += _BAR + _GAP
        top += 18
    parts.append(_text(20, top + 8, note, size=11, fill=_FAINT))
    height = top + 26
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" {_FONT} role="img">'
    )
    titles = escape("; ".join(title for title, _ in panels))
    ground = f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff" stroke="#d1d9e0"/>'
    return "\n".join([head, f"<title>{titles}</title>", ground, *parts, "</svg>", ""])


def _text(x, y, text, *, size=13, anchor="start", weight="400", fill=_INK):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{fill}">{escape(text)}</text>'
    )
