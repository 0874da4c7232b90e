// Arrays out of the text of a page: the way back from packing.py.

async function unpacked(text, Kind) {
  const signs = atob(text), bytes = new Uint8Array(signs.length);
  for (let k = 0; k < signs.length; k++) bytes[k] = signs.charCodeAt(k);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Kind(await new Response(stream).arrayBuffer());
}

function summed(differences) { // in place; the array's own type wraps around as the packing did
  for (let k = 1; k < differences.length; k++) differences[k] += differences[k - 1];
  return differences;
}

async function unpackedPoints({low, step, codes}) {
  const planes = await unpacked(codes, Uint16Array), count = planes.length / 3;
  const points = new Float32Array(planes.length);
  for (let axis = 0; axis < 3; axis++) {
    const plane = summed(planes.subarray(axis * count, (axis + 1) * count));
    for (let k = 0; k < count; k++) points[3 * k + axis] = low[axis] + step[axis] * plane[k];
  }
  return points;
}

// Unit normals of vertices as signed bytes, four a vertex so that the graphics card reads them aligned.
function normalsOf(points, faces) {
  const sums = new Float32Array(points.length);
  for (let k = 0; k < faces.length; k += 3) {
    const [a, b, c] = [3 * faces[k], 3 * faces[k + 1], 3 * faces[k + 2]];
    const ux = points[b] - points[a], uy = points[b + 1] - points[a + 1], uz = points[b + 2] - points[a + 2];
    const vx = points[c] - points[a], vy = points[c + 1] - points[a + 1], vz = points[c + 2] - points[a + 2];
    const nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
    for (const at of [a, b, c]) { sums[at] += nx; sums[at + 1] += ny; sums[at + 2] += nz; }
  }
  const bytes = new Int8Array(4 * points.length / 3);
  for (let k = 0; k < points.length / 3; k++) {
    const length = Math.hypot(sums[3 * k], sums[3 * k + 1], sums[3 * k + 2]) || 1;
    for (let axis = 0; axis < 3; axis++) bytes[4 * k + axis] = Math.round(127 * sums[3 * k + axis] / length);
  }
  return bytes;
}

async function unpackedSurface(row) {
  const [points, faces, contact] = await Promise.all([
    unpackedPoints(row.points),
    unpacked(row.faces, Uint32Array).then(summed),
    row.contact ? unpacked(row.contact, Uint16Array) : null,
  ]);
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  for (let k = 0; k < points.length; k++) {
    low[k % 3] = Math.min(low[k % 3], points[k]);
    high[k % 3] = Math.max(high[k % 3], points[k]);
  }
  const {name, title, group, shown, values} = row;
  return {name, title, group, shown, packedValues: values, values: {}, points, faces, contact, low, high,
    normals: normalsOf(points, faces)};
}
