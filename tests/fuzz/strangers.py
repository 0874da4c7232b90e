"""What no damage of a file makes: another kind of file under its name, a disguised pickle, no file at all."""

import gzip
import io
import os
import pickle
import random
import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np

ENTITIES = 12
BOMB_BYTES = 2**28


class _EndsTheProcess:
    """What ends the process that unpickles it."""

    def __reduce__(self) -> tuple:
        return os._exit, (99,)


def strange_content(sound: bytes, rng: random.Random) -> bytes:
    """Bytes of another kind of file, or what is left of a sound one after an accident."""
    at = rng.randrange(len(sound) + 1)
    return rng.choice(
        (
            lambda: b"",
            lambda: bytes(len(sound)),  # as after a power cut
            lambda: sound[:at] + bytes(len(sound) - at),
            lambda: sound + sound,
            lambda: sound.replace(b"\n", b"\r\n"),  # as after a transfer "as text"
            lambda: sound.decode("latin-1").encode("utf-8"),
            lambda: b"\xef\xbb\xbf" + sound,
            lambda: sound.decode("latin-1").encode("utf-16"),
            lambda: rng.randbytes(rng.choice((1, 4, 1024, 5000))),
            lambda: pickle.dumps(_EndsTheProcess(), protocol=rng.randrange(6)),
            lambda: pickled_array(rng.choice((".npy", ".npz"))),
            lambda: zipped({"archive/data.pkl": pickle.dumps(_EndsTheProcess()), "archive/version": b"3"}),
            lambda: gzip.compress(sound, 1),
            lambda: zipped({"inside": sound}),
            lambda: bomb(rng.choice(("zlib", "gzip", "zip"))),
            lambda: entities(sound),
            lambda: b"<html><body><h1>404 Not Found</h1></body></html>\n",
            lambda: b"\x89PNG\r\n\x1a\n" + rng.randbytes(60),
            lambda: b"\x93NUMPY\x01\x00" + rng.randbytes(60),
            lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
        )
    )()


def strange_place(target: Path, rng: random.Random) -> None:
    """Something at a path that is no file: a folder, a pipe, a link to nothing or to itself."""
    target.unlink(missing_ok=True)
    what = rng.randrange(5)
    if what == 0:
        target.mkdir()
    elif what == 1:
        target.mkdir()
        (target / "a.txt").write_text("x")
    elif what == 2:
        os.mkfifo(target)
    else:
        os.symlink(target if what == 3 else target / "nowhere", target)


def pickled_array(ending: str) -> bytes:
    """An array of an object that ends the process, as NumPy pickles it, under the names of an ROI file."""
    out = io.BytesIO()
    array = np.array([_EndsTheProcess()], dtype=object)
    if ending == ".npy":
        np.save(out, array, allow_pickle=True)
    else:
        names = ("ids", "boxes", "offsets", "bits", "shape", "voxel_size_nm", "origin_nm")
        np.savez(out, **dict.fromkeys(names, array))
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


@cache
def bomb(packer: str) -> bytes:
    """A quarter of a GiB of zeros, packed."""
    if packer == "zip":
        return zipped({"ids.npy": bytes(BOMB_BYTES)})
    return zlib.compress(bytes(BOMB_BYTES), 1) if packer == "zlib" else gzip.compress(bytes(BOMB_BYTES), 1)


def entities(sound: bytes) -> bytes:
    """XML whose entities unfold to terabytes, and one that names a file, before what was there."""
    head, end, rest = (
        sound.partition(b"?>") if sound.startswith(b"<?xml") else (b"<?xml version='1.0'", b"?>", sound)
    )
    told = ['<!ENTITY a0 "aaaaaaaaaa">', '<!ENTITY f SYSTEM "file:///etc/hostname">']
    told += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, ENTITIES)]
    bad = rest.replace(b'Name="', b'Name="&a11;&f;', 1)
    return head + end + f"<!DOCTYPE x [{''.join(told)}]>".encode() + bad
