// A parallel projection: lengths on the screen are lengths in nm, wherever they lie.

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const scaled = (a, s) => a.map(x => s * x);
const plus = (a, b) => a.map((x, k) => x + b[k]);
const minus = (a, b) => a.map((x, k) => x - b[k]);
const unit = a => scaled(a, 1 / (Math.hypot(...a) || 1));

class Camera {
  constructor(low, high) {
    this.low = low;
    this.high = high;
    this.reach = Math.hypot(...minus(high, low)) + 1; // nm before and behind the pivot that are drawn
    this.look([0, 0, 1], [0, 1, 0]);
  }

  // From where the eye is, seen from the pivot, and what is up there.
  look(toward, up) {
    this.toward = unit(toward);
    this.right = unit(cross(up, this.toward));
    this.up = cross(this.toward, this.right);
  }

  // All corners of the box within a picture of so many pixels.
  fit(width, height, low = this.low, high = this.high) {
    this.pivot = scaled(plus(low, high), 0.5);
    let across = 1, upward = 1;
    for (let k = 0; k < 8; k++) {
      const corner = [0, 1, 2].map(axis => (k >> axis) & 1 ? high[axis] : low[axis]);
      const away = minus(corner, this.pivot);
      across = Math.max(across, 2 * Math.abs(dot(away, this.right)));
      upward = Math.max(upward, 2 * Math.abs(dot(away, this.up)));
    }
    this.nmPerPixel = 1.08 * Math.max(across / width, upward / height);
  }

  turn(dx, dy) { // pixels; half a turn takes 400
    const s = Math.PI / 400, c = [Math.cos(dx * s), Math.sin(dx * s), Math.cos(dy * s), Math.sin(dy * s)];
    const toward = plus(scaled(this.toward, c[0]), scaled(this.right, -c[1]));
    this.right = unit(plus(scaled(this.right, c[0]), scaled(this.toward, c[1])));
    this.look(plus(scaled(toward, c[2]), scaled(this.up, c[3])), plus(scaled(this.up, c[2]), scaled(toward, -c[3])));
  }

  shift(dx, dy) {
    const along = plus(scaled(this.right, -dx * this.nmPerPixel), scaled(this.up, dy * this.nmPerPixel));
    this.pivot = plus(this.pivot, along);
  }

  // The place under (x, y), counted from the picture's middle, y down, stays where it is.
  zoom(factor, x = 0, y = 0) {
    const before = this.nmPerPixel;
    this.nmPerPixel = Math.min(Math.max(before * factor, 1e-3), 10 * this.reach);
    const kept = (before - this.nmPerPixel) / this.nmPerPixel;
    this.shift(-x * kept, -y * kept);
  }

  // Start and direction of what is seen at (x, y), counted from the picture's middle, y down.
  ray(x, y) {
    const across = scaled(this.right, x * this.nmPerPixel), upward = scaled(this.up, -y * this.nmPerPixel);
    return [plus(plus(plus(this.pivot, across), upward), scaled(this.toward, 2 * this.reach)), scaled(this.toward, -1)];
  }

  // From nm to the cube that is drawn, in the order that WebGL reads.
  matrix(width, height) {
    const sizes = [2 / (width * this.nmPerPixel), 2 / (height * this.nmPerPixel), -1 / (2 * this.reach)];
    const rows = [this.right, this.up, this.toward].map((axis, k) => [...scaled(axis, sizes[k]), -sizes[k] * dot(axis, this.pivot)]);
    return new Float32Array([0, 1, 2, 3].flatMap(column => [...rows.map(row => row[column]), column === 3 ? 1 : 0]));
  }
}
