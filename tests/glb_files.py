"""GLB files taken apart by their specification, without any library that reads them."""

import json
import struct

import numpy as np


def parsed_glb(path):
    """Document, and the arrays of the first mesh: places, colours, triangles."""
    raw = path.read_bytes()
    magic, version, length, head, kind = struct.unpack_from("<4sIII4s", raw)
    assert (magic, version, length, kind) == (b"glTF", 2, len(raw), b"JSON")
    document = json.loads(raw[20 : 20 + head])
    size, kind = struct.unpack_from("<I4s", raw, 20 + head)
    body = raw[28 + head :]
    assert kind == b"BIN\0"
    assert len(body) == size == document["buffers"][0]["byteLength"]

    def array(number):
        told = document["accessors"][number]
        view = document["bufferViews"][told["bufferView"]]
        assert view["byteOffset"] % 4 == 0
        part = body[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        values = np.frombuffer(part, {5126: "<f4", 5125: "<u4"}[told["componentType"]])
        return values.reshape(told["count"], -1)

    found = document["meshes"][0]["primitives"][0]
    return (
        document,
        array(found["attributes"]["POSITION"]),
        array(found["attributes"]["COLOR_0"]),
        array(found["indices"]).reshape(-1, 3),
    )
