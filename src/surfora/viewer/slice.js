// A slice of the tomogram beside the surfaces, with the lines along which it cuts them.

// Ends of the lines (x, y, x, y, …) in which a plane across z cuts triangles.
function cutLines({points, faces, low, high}, z) {
  const lines = [];
  if (z < low[2] || z > high[2]) return lines;
  for (let k = 0; k < faces.length; k += 3) {
    const corners = [3 * faces[k], 3 * faces[k + 1], 3 * faces[k + 2]];
    const above = corners.map(at => points[at + 2] > z);
    if (above[0] === above[1] && above[1] === above[2]) continue;
    for (let side = 0; side < 3; side++) {
      const a = corners[side], b = corners[(side + 1) % 3];
      if (above[side] === above[(side + 1) % 3]) continue;
      const share = (z - points[a + 2]) / (points[b + 2] - points[a + 2]);
      lines.push(points[a] + share * (points[b] - points[a]), points[a + 1] + share * (points[b + 1] - points[a + 1]));
    }
  }
  return lines;
}

class SlicePanel {
  constructor(canvas, slices, onReady) {
    this.canvas = canvas;
    this.slices = slices;
    this.images = new Map();
    this.onReady = onReady; // called with the picture that was asked for last, when it is there
    this.at = -1;
  }

  nearest(z) {
    const away = this.slices.z.map(other => Math.abs(other - z));
    return away.indexOf(Math.min(...away));
  }

  show(at) {
    this.at = at;
    if (!this.images.has(at)) {
      const image = new Image();
      image.onload = () => this.at === at && this.onReady(image);
      image.src = `data:image/jpeg;base64,${this.slices.jpegs[at]}`;
      this.images.set(at, image);
    } else if (this.images.get(at).complete) {
      this.onReady(this.images.get(at));
    }
  }

  // y runs up, as in the pictures of the report. lines: pairs of a colour and the ends of its lines in nm.
  draw(image, lines, mark) {
    const {low, high} = this.slices, canvas = this.canvas, pen = canvas.getContext("2d");
    canvas.width = 2 * image.width;
    canvas.height = 2 * image.height;
    const perNm = canvas.width / (high[0] - low[0]);
    pen.setTransform(1, 0, 0, -1, 0, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    pen.lineWidth = Math.max(3, canvas.width / 200);
    for (const [colour, ends] of lines) {
      pen.strokeStyle = colour;
      pen.beginPath();
      for (let k = 0; k + 3 < ends.length; k += 4) {
        pen.moveTo((ends[k] - low[0]) * perNm, (ends[k + 1] - low[1]) * perNm);
        pen.lineTo((ends[k + 2] - low[0]) * perNm, (ends[k + 3] - low[1]) * perNm);
      }
      pen.stroke();
    }
    if (mark) {
      pen.strokeStyle = "#f0e442";
      pen.beginPath();
      pen.arc((mark.centre[0] - low[0]) * perNm, (mark.centre[1] - low[1]) * perNm, Math.max(8, 0.6 * mark.length * perNm), 0, 2 * Math.PI);
      pen.stroke();
    }
  }
}
