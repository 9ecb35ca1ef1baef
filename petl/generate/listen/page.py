"""An HTML page to listen with: synthetic clips, and real ones of the nearest conditions.

It has relative links to the files beside it, no script, and fetches nothing: the folder can be
sent. Names of classes and files are anybody's, so every text is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from petl import __version__
from petl.terminal import printable

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file:; media-src 'self' file:; "
    "base-uri 'none'; form-action 'none'"
)
STYLE = Path(__file__).with_name("page.css")


@dataclass(frozen=True)
class Player:
    """A sound and the picture of its spectrogram: NAME.wav and NAME.png in the folder."""

    name: str
    title: str
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A condition: its synthetic clips, and real ones each with its round trip."""

    title: str
    synthetic: Sequence[Player]
    real: Sequence[Player] = ()


@dataclass(frozen=True)
class Page:
    title: str
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    sections: Sequence[Section]
    plane: str = ""
    """The caption of plane.png, if there is one."""

    def html(self) -> bytes:
        head = [
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta name="generator" content="petl-ast {__version__}">',
            _el("title", self.title),
            f"<style>{STYLE.read_text()}</style>",
        ]
        facts = "".join(_el("dt", name) + _el("dd", value) for name, value in self.facts)
        body = [
            _el("h1", self.title),
            _el("p", "Synthetic: a generator made these clips; nobody recorded them.", "synthetic"),
            f"<dl>{facts}</dl>",
            *(_el("p", note) for note in self.notes),
            *self._plane(),
            *(line for section in self.sections for line in _section(section)),
            _el("footer", f"Made by petl-ast {__version__}. Works without a network."),
        ]
        text = "\n".join(['<!doctype html>\n<html lang="en"><head>', *head, "</head><body>", *body])
        return f"{text}\n</body></html>\n".encode()

    def _plane(self) -> list[str]:
        if not self.plane:
            return []
        caption = _el("figcaption", self.plane)
        image = f'<img src="plane.png" alt="{_text(self.plane)}">'
        return [_el("h2", "The plane"), f'<figure class="wide">{caption}{image}</figure>']


def _section(section: Section) -> list[str]:
    lines = [_el("h2", section.title), _players(section.synthetic)]
    if section.real:
        lines += [_el("h3", "Real clips nearby, and what the way back to sound does to them")]
        lines += [_players(section.real)]
    return lines


def _players(players: Sequence[Player]) -> str:
    return f'<div class="clips">{"".join(map(_player, players))}</div>'


def _player(one: Player) -> str:
    file, title = escape(one.name), _text(one.title)
    note = _el("small", one.note) if one.note else ""
    return (
        f"<figure><figcaption>{title}{note}</figcaption>"
        f'<img src="{file}.png" alt="Spectrogram of {file}" loading="lazy">'
        f'<audio controls preload="none" src="{file}.wav" aria-label="{title}"></audio></figure>'
    )


def _el(name: str, text: str, of_class: str = "") -> str:
    attribute = f' class="{of_class}"' if of_class else ""
    return f"<{name}{attribute}>{_text(text)}</{name}>"


def _text(text: str) -> str:
    """Also without marks that turn the direction of what follows."""
    return escape(printable(text))
