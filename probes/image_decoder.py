"""ImageDecoder: uncompressed formats and PNG, written byte by byte, by the order of colours asked for; grey pictures only where grey is asked for,
since the standard does not say how colours become grey. The stream is fed at run time."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from opcompat.probe import Array, Probe, data, describe, single_op, vary

FAMILY = "image_decoder"
BASE = {"format": "BMP", "order": "RGB", "width": 4}


def bmp(pixels: Array) -> bytes:
    """24 bits, rows from the bottom, each a multiple of 4 bytes. https://learn.microsoft.com/windows/win32/gdi/bitmap-storage"""
    height, width, _ = pixels.shape
    rows = b"".join(row[:, ::-1].tobytes() + b"\0" * (-3 * width % 4) for row in pixels[::-1])
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(rows), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + header + rows


def png(pixels: Array) -> bytes:
    """8 bits a channel, no filter. https://www.w3.org/TR/png/"""
    height, width, channels = pixels.shape

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    stored = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels), 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stored) + chunk(b"IEND", b"")


def pnm(pixels: Array) -> bytes:
    height, width, channels = pixels.shape
    return f"P{6 if channels == 3 else 5}\n{width} {height}\n255\n".encode() + pixels.tobytes()


def decoder(f: dict) -> Probe:
    pixels = data(3, f["width"], 1 if f["order"] == "Grayscale" else 3, dtype="uint8", low=0, high=256)
    stream = {"BMP": bmp, "PNG": png, "PPM": pnm}[f["format"]](pixels)
    wanted = pixels[..., ::-1] if f["order"] == "BGR" else pixels
    return single_op(
        FAMILY, "ImageDecoder", describe(BASE, f), {"X": np.frombuffer(stream, np.uint8)}, opset=20, dynamic={"X": ["B"]},
        answer=lambda feeds: [wanted], pixel_format=None if f["order"] == "RGB" else f["order"],
    )  # fmt: skip


def probes() -> Iterator[Probe]:
    for f in vary(BASE, format=["PNG", "PPM"], order=["BGR"], width=[5]):
        yield decoder(f)
    for kind in ("PNG", "PPM"):
        yield decoder({**BASE, "format": kind, "order": "Grayscale"})
