"""A small bitmap font for labels: capital letters, digits and signs, 5x7 dots, no font files."""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

# One number a row from the top, the leftmost dot in bit 4, written in base 32: 7 digits a glyph.
_ROWS = {
    "A": "ehhvhhh", "B": "uhhuhhu", "C": "ehggghe", "D": "uhhhhhu", "E": "vgguggv", "F": "vgguggg",
    "G": "ehgnhhf", "H": "hhhvhhh", "I": "e44444e", "J": "72222ic", "K": "hikokih", "L": "ggggggv",
    "M": "hrllhhh", "N": "hhpljhh", "O": "ehhhhhe", "P": "uhhuggg", "Q": "ehhhlid", "R": "uhhukih",
    "S": "fgge11u", "T": "v444444", "U": "hhhhhhe", "V": "hhhhha4", "W": "hhhllla", "X": "hha4ahh",
    "Y": "hhha444", "Z": "v1248gv", "0": "ehjlphe", "1": "4c4444e", "2": "eh1248v", "3": "v2421he",
    "4": "26aiv22", "5": "vgu11he", "6": "68guhhe", "7": "v124888", "8": "ehhehhe", "9": "ehhf12c",
    " ": "0000000", ".": "00000cc", ":": "0cc0cc0", "/": "011248g", "%": "op248j3", "-": "000v000",
    "+": "044v440", "(": "2488842", ")": "8422248", "|": "4444444", ",": "0000cc8", "=": "00v0v00",
    "!": "4444404", "?": "eh12404", "'": "4400000", '"': "aa00000", "#": "aavavaa", "&": "cik8lid",
    "*": "04lel40", "<": "248g842", ">": "8421248", "_": "000000v", ";": "0cc0c48", "@": "eh1dlle",
    "[": "e88888e", "]": "e22222e", "~": "008l200", "°": "ciic000",
}  # fmt: skip
HEIGHT, PITCH = 7, 6


def text_mask(text: str, dot: int = 1) -> NDArray[np.bool_]:
    """(7 * dot, 6 * dot * letters) true where the text is; unknown letters are blank, small ones capital."""
    rows = np.zeros((HEIGHT, PITCH * max(1, len(text))), np.bool_)
    for place, letter in enumerate(text.upper()):
        for row, digit in enumerate(_ROWS.get(letter, _ROWS[" "])):
            bits = int(digit, 32)
            for column in range(5):
                rows[row, place * PITCH + column] = bool(bits >> (4 - column) & 1)
    return np.kron(rows, np.ones((dot, dot), np.bool_)).astype(np.bool_)


def plain(text: str) -> str:
    """The text in letters that the font has: capitals without accents, `?` for what is none, no line ends.

    For texts that come from outside (names, captions); the result may be longer than the text.
    """
    letters = []
    for letter in unicodedata.normalize("NFKD", text.upper().replace("°", "\0")):
        if letter == "\0":
            letters.append("°")
        elif letter.isspace():
            letters.append(" ")
        elif not unicodedata.combining(letter):
            letters.append(letter if letter in _ROWS else "?")
    return "".join(letters)
