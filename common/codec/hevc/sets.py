"""The parameter sets of groups: nothing but their size differs, so none is sent (Rec. ITU-T H.265, section 7.3.2).

They say what x265 does with `OPTIONS`; whoever codes slices otherwise has to keep to what is said here."""

from __future__ import annotations

OPTIONS = (
    "ctu=32:min-cu-size=8:max-tu-size=32:tu-intra-depth=1:tu-inter-depth=1:no-amp=1:sao=1:no-tskip=1:signhide=1"
    ":strong-intra-smoothing=1:temporal-mvp=1:weightp=1:no-weightb=1:wpp=0:slices=1:no-constrained-intra=1"
    ":bframes=3:b-pyramid=1:ref=4:no-opt-qp-pps=1:no-opt-ref-list-length-pps=1:no-multi-pass-opt-rps=1:aud=0"
)
"""What x265 has to be told to code slices that these sets describe."""
SMALLEST_SIDE = 64  # of pictures; x265 4.1 writes past its buffers where they are smaller (48x48, 50x34)
MIN_BLOCK = 8  # the sides that are coded are multiples of it
VIDEO, SEQUENCE, PICTURE = 32, 33, 34  # types of NAL units
LEVEL = 93  # 3.1: 1280x720
MOST_PICTURES, REORDERED = 5, 2  # held by the decoder, and shown later than others that are coded later


class _Bits:
    """Writes a raw byte sequence payload (section 9.2 for `ue`)."""

    def __init__(self) -> None:
        self._bits = list[int]()

    def u(self, count: int, value: int) -> None:
        self._bits += [value >> place & 1 for place in reversed(range(count))]

    def flags(self, text: str) -> None:
        self._bits += map(int, text.replace(" ", ""))

    def ue(self, *values: int) -> None:
        for value in values:
            length = (value + 1).bit_length()
            self.u(2 * length - 1, value + 1)

    def nal(self, kind: int) -> bytes:
        """With trailing bits and what keeps start codes out of it (section 7.4.2)."""
        bits = [*self._bits, 1]
        bits += [0] * (-len(bits) % 8)
        out, zeros = bytearray((kind << 1, 1)), 0
        for begin in range(0, len(bits), 8):
            byte = int("".join(map(str, bits[begin : begin + 8])), 2)
            if zeros == 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = 0 if byte else zeros + 1
        return bytes(out)


def video_set() -> bytes:
    """Section 7.3.2.1."""
    bits = _Bits()
    bits.u(4, 0)  # its number
    bits.flags("11")  # base layer internal, available
    bits.u(6, 0)  # layers - 1
    bits.u(3, 0)  # temporal layers - 1
    bits.flags("1")
    bits.u(16, 0xFFFF)
    _profile(bits)
    _ordering(bits)
    bits.u(6, 0)
    bits.ue(0)
    bits.flags("0 0")  # timing, extension
    return bits.nal(VIDEO)


def sequence_set(width: int, height: int) -> bytes:
    """Section 7.3.2.2. `width`, `height`: of the pictures, both even."""
    coded = [-(-side // MIN_BLOCK) * MIN_BLOCK for side in (width, height)]
    bits = _Bits()
    bits.u(4, 0)  # number of its video set
    bits.u(3, 0)
    bits.flags("1")
    _profile(bits)
    bits.ue(0, 1)  # its number, 4:2:0
    bits.ue(*coded)
    cropped = coded != [width, height]
    bits.flags(str(int(cropped)))
    if cropped:
        bits.ue(0, (coded[0] - width) // 2, 0, (coded[1] - height) // 2)
    bits.ue(0, 0)  # 8 bits
    bits.ue(4)  # 8 bits of the picture order count
    _ordering(bits)
    bits.ue(0, 2)  # coding blocks of 8 to 32
    bits.ue(0, 3)  # transform blocks of 4 to 32
    bits.ue(0, 0)  # one transform a coding block, inter and intra
    bits.flags("0 0 1 0")  # scaling lists, asymmetric partitions, sample adaptive offset, PCM
    bits.ue(0)  # sets of references: slices say theirs
    bits.flags("0 1 1")  # long-term references, motion from other pictures, smoothing of strong edges
    bits.flags("0 0")  # usability information, extension
    return bits.nal(SEQUENCE)


def picture_set(lossless: bool = False) -> bytes:
    """Section 7.3.2.3. `lossless`: of pictures whose blocks are coded without a transform."""
    bits = _Bits()
    bits.ue(0, 0)  # its number, that of its sequence set
    bits.flags("0 0")  # dependent slices, output flag
    bits.u(3, 0)
    bits.flags("1 0")  # sign hiding, contexts chosen by slices
    bits.ue(0, 0)  # references - 1
    bits.ue(0)  # quantiser 26
    bits.flags("0 0")  # intra from intra alone, transform skip
    bits.flags("0" if lossless else "1")  # quantisers of blocks,
    if not lossless:
        bits.ue(1)  # of 16x16
    bits.ue(0, 0)  # chroma as luma
    bits.flags("0 1 0")  # chroma by slice, weights, of two
    bits.flags(str(int(lossless)))
    bits.flags("0 0")  # tiles, wavefronts
    bits.flags("1 0 0 0")  # filter across slices; filter control, scaling lists, changed lists
    bits.ue(0)  # merge level 4
    bits.flags("0 0")
    return bits.nal(PICTURE)


def _profile(bits: _Bits) -> None:
    """Main, progressive (section 7.3.3)."""
    bits.u(2, 0)
    bits.flags("0")
    bits.u(5, 1)
    bits.u(32, 0x6000_0000)
    bits.flags("1 0 0 1")
    bits.u(44, 0)
    bits.u(8, LEVEL)


def _ordering(bits: _Bits) -> None:
    bits.flags("1")
    bits.ue(MOST_PICTURES - 1, REORDERED, 0)
