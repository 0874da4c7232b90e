"""Ways to damage a file: bytes anywhere, numbers in heads, values of JSON, words of texts, packed members."""

import gzip
import io
import json
import random
import re
import struct
import zipfile

import numpy as np

EXTREMES = (0, 1, -1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**40, 2**63 - 1)
FLOATS = (0.0, -0.0, 1e-320, 1e38, -1e38, float("nan"), float("inf"), -float("inf"))
VALUES = (
    None, True, -1, 0, 1.5, 1e308, 2**70, 10**400, "", "x", "9" * 5000, "\x00\n<b>&", "../../x", [], {},
    [[1]], {"a": 1}, [None], float("nan"), float("inf"), "µ" * 300,
)  # fmt: skip
WORDS = (
    "-1", "0", "nan", "inf", "1e400", "2147483647", "-2147483648", "99999999999999999999", "9" * 5000, "x",
    "", "\x00", "é", "\ufeff", '"', "'", "\n", ",", ";", "\t", "[", "]", "{", "}", "=", "#", "<", ">", "&",
    "data_", "loop_", "//", "_", "1.", "1/1", "0x10", "True", "a.b.c",
)  # fmt: skip


def damaged_bytes(raw: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four things done to them: flips, cuts, doublings, extreme numbers."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _damage(data, rng)
    return bytes(data)


def _damage(data: bytearray, rng: random.Random) -> None:
    if not data:
        data += rng.randbytes(rng.randrange(40))
        return
    # Heads decide most, so half of all damages go there.
    at = rng.randrange(min(len(data), rng.choice((64, 1024, len(data)))))
    what = rng.randrange(9)
    if what == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif what == 1:
        data[at] = rng.choice((0, 255, 127, 128, rng.randrange(256)))
    elif what == 2:
        del data[at:]
    elif what == 3:
        del data[at : at + rng.randrange(1, 64)]
    elif what == 4:
        data[at:at] = data[at : at + rng.randrange(1, 200)]
    elif what == 5:
        data[at:at] = rng.randbytes(rng.randrange(1, 64))
    elif what == 6:
        width, kind = rng.choice(((1, "B"), (2, "H"), (4, "I"), (8, "Q")))
        number = rng.choice(EXTREMES) % 2 ** (8 * width)
        data[at : at + width] = struct.pack(rng.choice("<>") + kind, number)
    elif what == 7:
        kind = rng.choice(("f", "d"))
        number = struct.pack(rng.choice("<>") + kind, rng.choice(FLOATS))
        data[at : at + len(number)] = number
    else:
        other = rng.randrange(len(data))
        size = rng.randrange(1, 64)
        data[at : at + size] = data[other : other + size]


def damaged_words(raw: bytes, rng: random.Random) -> bytes:
    """A text with words or lines exchanged, dropped or doubled, or damaged as bytes."""
    if rng.random() < 0.3:
        return damaged_bytes(raw, rng)
    text = raw.decode("latin-1")
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = _damaged_text(text, rng)
    return text.encode("utf-8" if rng.random() < 0.5 else "latin-1", "replace")


def _damaged_text(text: str, rng: random.Random) -> str:
    what = rng.randrange(6)
    if what == 0:
        lines = text.splitlines(keepends=True)
        if lines:
            at = rng.randrange(len(lines))
            lines[at : at + 1] = rng.choice(([], [lines[at]] * 2, [lines[at]] * 500, [rng.choice(lines)]))
        return "".join(lines)
    if what == 1:
        return text[: rng.randrange(len(text) + 1)]
    parts = re.split(r"([\w.+-]+)", text)
    if len(parts) < 3:
        return text + rng.choice(WORDS)
    at = rng.randrange(1, len(parts), 2) if what < 5 else rng.randrange(len(parts))
    parts[at] = rng.choice(WORDS)
    return "".join(parts)


def damaged_json(raw: bytes, rng: random.Random) -> bytes:
    """JSON with a value exchanged or taken away, nested deeply, or damaged as a text."""
    if rng.random() < 0.2:
        return damaged_words(raw, rng)
    if rng.random() < 0.03:
        return b"[" * 100_000
    value = json.loads(raw)
    for _ in range(rng.choice((1, 1, 2))):
        value = damaged_value(value, rng)
    return (
        json.dumps(value, ensure_ascii=rng.random() < 0.5)
        .replace("1" + "0" * 400, "9" * 5000)
        .encode("utf-8", "surrogatepass")
    )


def damaged_value(value: object, rng: random.Random) -> object:
    """A value of JSON with one thing in it exchanged, taken away or added."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        changed = {**value, key: damaged_value(value[key], rng)}
        what = rng.random()
        if what < 0.15:
            del changed[key]
        elif what < 0.2:
            changed["extra"] = rng.choice(VALUES)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], damaged_value(value[at], rng), *value[at + 1 :]][: rng.choice((at, None, None))]
    return rng.choice(VALUES)


def damaged_archive(raw: bytes, rng: random.Random) -> bytes:
    """An .npz with one array of another type or shape, with other numbers, missing, or damaged as bytes."""
    if rng.random() < 0.4:
        return damaged_bytes(raw, rng)
    with np.load(io.BytesIO(raw)) as archive:
        arrays = dict(archive)
    name = rng.choice(list(arrays))
    if rng.random() < 0.15:
        return _with_bad_member(arrays, name, rng)
    arrays[name] = _damaged_array(arrays[name], rng)
    if rng.random() < 0.1:
        del arrays[name]
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def _damaged_array(values: np.ndarray, rng: random.Random) -> np.ndarray:
    what = rng.randrange(8)
    with np.errstate(all="ignore"):
        if what == 0:
            return values.astype(
                rng.choice(("f4", "f8", "i1", "u8", "U5", "?", "c8", "S3", "M8[s]")), casting="unsafe"
            )
        if what == 1:
            return values[: rng.randrange(len(values) + 1)] if values.ndim else values.reshape(1)
        if what == 2:
            return np.concatenate([values, values]) if values.ndim else np.array([values, values])
        if what == 3:
            return values.reshape(-1, 1)
        if what == 4:
            return np.array(rng.choice(("x", 3, -1, float("nan"), 2**62, True)))
        if what == 5:
            return np.zeros(rng.choice(((0,), (0, 2, 3), (1000000,), (3, 0))), values.dtype)
        flat = values.reshape(-1).copy()
        if flat.size and flat.dtype.kind in "iu":
            info = np.iinfo(flat.dtype)
            flat[rng.randrange(flat.size)] = rng.choice((0, info.min, info.max, 1, info.max // 2))
        elif flat.size and flat.dtype.kind == "f":
            flat[rng.randrange(flat.size)] = rng.choice(FLOATS)
        return flat.reshape(values.shape)


def _with_bad_member(arrays: dict, name: str, rng: random.Random) -> bytes:
    """An .npz of which one array's head promises something else, or whose member is none."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for each, values in arrays.items():
            member = io.BytesIO()
            np.save(member, values)
            raw = member.getvalue()
            if each == name:
                raw = rng.choice((_promising, damaged_bytes))(raw, rng)
            file.writestr(f"{each}.npy", raw)
    return out.getvalue()


def _promising(raw: bytes, rng: random.Random) -> bytes:
    shape = rng.choice(
        (b"(4000000000,)", b"(-1,)", b"(99999999999999999999999,)", b"(2, 2**9)", b"()", b"((((((", b"(1,)*9")
    )
    return re.sub(rb"\([^)]*\)", shape, raw[:128], count=1) + raw[128:]


def damaged_gzip(raw: bytes, rng: random.Random) -> bytes:
    """A gzip file, damaged packed or unpacked."""
    if rng.random() < 0.5:
        return damaged_bytes(raw, rng)
    return gzip.compress(damaged_bytes(gzip.decompress(raw), rng), 1)


def damaged_safetensors(raw: bytes, rng: random.Random) -> bytes:
    """A .safetensors file of which the head, or the JSON within the head, or any byte is damaged."""
    if rng.random() < 0.3:
        return damaged_bytes(raw, rng)
    length = int.from_bytes(raw[:8], "little")
    head, body = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    if rng.random() < 0.6:
        own = head["__metadata__"]
        key = next(iter(own))
        own[key] = damaged_json(own[key].encode(), rng).decode("utf-8", "replace")
        text = json.dumps(head).encode()
    else:
        text = damaged_json(json.dumps(head).encode(), rng)
    return len(text).to_bytes(8, "little") + text + body


def damaged_lines(raw: bytes, rng: random.Random) -> bytes:
    """A journal, a line of JSON for each act, with one of its lines damaged, or damaged as a text."""
    if rng.random() < 0.3:
        return damaged_words(raw, rng)
    lines = raw.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    lines[at] = damaged_json(lines[at], rng) + b"\n"
    return b"".join(lines)
