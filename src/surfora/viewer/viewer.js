// What a hand does with the surfaces of a page: turn, colour, pick, slice. Words of users are only ever set as text.

const GROUP_COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8a5c"]; // Okabe and Ito
const CONTACTS = "contact", MEMBRANES = "membrane";
const MOST_LIFT_NM = 0.6; // ROIs that overlap show the same membrane twice: one of them is always drawn before the other
const LAST_CODE = 254, NO_CODE = 255;
const part = id => document.getElementById(id);
const made = (name, text = "", more = {}) => Object.assign(document.createElement(name), {textContent: text, ...more});
const rgb = hex => [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16) / 255);
const short = value => Math.abs(value) >= 1000 || value === 0 ? value.toFixed(0) : String(Number(value.toPrecision(3)));

class Viewer {
  constructor(scene, surfaces) {
    this.scene = scene;
    this.surfaces = surfaces;
    this.groups = [...new Set(surfaces.map(one => one.group))];
    this.contacts = new Map(scene.contacts.map(contact => [contact.number, contact]));
    this.shown = surfaces.map(one => one.shown);
    this.picked = null;
    this.cut = [0, 0, 0, 0]; // what the shader and `hit` leave out: z and its side
    const ends = (key, most) => [0, 1, 2].map(axis => most(...surfaces.map(one => one[key][axis])));
    this.canvas = part("turning");
    this.camera = new Camera(ends("low", Math.min), ends("high", Math.max));
    this.drawing = new Drawing(this.canvas, surfaces);
    this.camera.fit(this.canvas.clientWidth, this.canvas.clientHeight);
    this.listSurfaces();
    this.listMeasures();
    this.readySlices();
    this.listen();
  }

  colourOf(surface) { return GROUP_COLOURS[this.groups.indexOf(surface.group) % GROUP_COLOURS.length]; }

  liftOf(k) { return MOST_LIFT_NM * k / this.surfaces.length; }

  // --- what it is coloured by

  listMeasures() {
    const select = part("colour-by");
    for (const measure of this.scene.measures) select.append(made("option", measure.title, {value: measure.key}));
    if (this.contacts.size) select.prepend(made("option", "contacts", {value: CONTACTS}));
    select.prepend(made("option", "membranes", {value: MEMBRANES}));
    select.addEventListener("change", () => this.colourBy(select.value));
    for (const end of ["low", "high"]) part(`legend-${end}`).addEventListener("change", () => this.setSpan());
    const first = this.scene.measures.find(measure => measure.key === "distance_to_nearest_nm");
    select.value = first ? first.key : this.contacts.size ? CONTACTS : MEMBRANES;
    this.coloured = this.colourBy(select.value);
  }

  async colourBy(key) {
    this.key = key;
    this.measure = this.scene.measures.find(measure => measure.key === key) || null;
    this.span = [0, 1];
    if (this.measure) {
      await Promise.all(this.surfaces.map(async surface => {
        const text = surface.packedValues[key];
        if (text && !surface.values[key]) surface.values[key] = await unpacked(text, Uint8Array);
      }));
      const table = await unpacked(this.scene.colours[this.measure.colours], Uint8Array);
      if (this.key !== key) return; // another one was chosen meanwhile
      this.drawing.setColours(table);
      part("legend-low").value = short(this.measure.low);
      part("legend-high").value = short(this.measure.high);
      this.drawBar(table);
    } else {
      this.drawing.setColours(new Uint8Array(GROUP_COLOURS.flatMap(colour => rgb(colour).map(x => Math.round(255 * x)))));
    }
    part("legend-title").textContent = this.measure ? `${this.measure.title}${this.measure.unit && ` (${this.measure.unit})`}`
      : key === CONTACTS ? "contacts, a colour each; grey: none" : "membranes, a colour each";
    for (const id of ["legend-bar", "legend-low", "legend-high"]) part(id).style.display = this.measure ? "" : "none";
    this.paint();
  }

  drawBar(table) {
    const pen = part("legend-bar").getContext("2d");
    for (let x = 0; x < 220; x++) {
      const at = 3 * Math.round(255 * x / 219);
      pen.fillStyle = `rgb(${table[at]},${table[at + 1]},${table[at + 2]})`;
      pen.fillRect(x, 0, 1, 12);
    }
  }

  setSpan() {
    const {low, high} = this.measure, [first, last] = ["low", "high"].map(end => Number(part(`legend-${end}`).value));
    if (last > first) this.span = [first, last].map(value => (value - low) / (high - low) * LAST_CODE / 255);
    this.redraw();
  }

  // Value, whether there is one, and whether the picked contact holds it, for every vertex.
  paint() {
    if (this.measure) this.setSpan();
    this.surfaces.forEach((surface, k) => {
      const count = surface.points.length / 3, look = new Uint8Array(4 * count);
      const codes = surface.values[this.key], ids = surface.contact;
      for (let v = 0; v < count; v++) {
        if (this.key === CONTACTS && ids && ids[v]) {
          look[4 * v] = Math.round(255 * ((ids[v] - 1) % GROUP_COLOURS.length + 0.5) / GROUP_COLOURS.length);
          look[4 * v + 1] = 255;
        } else if (codes && codes[v] !== NO_CODE) {
          look[4 * v] = codes[v];
          look[4 * v + 1] = 255;
        }
        if (this.picked && ids && ids[v] === this.picked.number && this.picked.surfaces.includes(k)) look[4 * v + 2] = 255;
      }
      this.drawing.setLook(k, look);
    });
    this.redraw();
  }

  // --- drawing, once a frame at most

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      const looks = this.surfaces.map((surface, k) => ({
        shown: this.shown[k], colour: rgb(this.colourOf(surface)), faded: this.picked ? 0.75 : 0, lift: this.liftOf(k),
      }));
      const side = this.camera.toward[2] >= 0 ? 1 : -1, cuts = this.slicePanel && part("slice-cut").checked;
      this.cut = cuts ? [0, 0, this.sliceZ, side] : [0, 0, 0, 0];
      const slice = this.slicePanel && part("slice-shown").checked;
      this.drawing.draw(this.camera, {looks, valued: this.key !== MEMBRANES, span: this.span, slice, cut: this.cut});
      this.drawScale();
      part("viewer").dataset.drawn = String(Number(part("viewer").dataset.drawn || 0) + 1);
    });
  }

  drawScale() {
    const most = 0.2 * this.canvas.clientWidth * this.camera.nmPerPixel, decade = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map(step => step * decade).find(step => step <= most) || decade;
    part("scale").style.width = `${length / this.camera.nmPerPixel}px`;
    part("scale").textContent = `${Number(length.toPrecision(1))} nm`;
    const axis = name => { const at = "xyz".indexOf(name); return [this.camera.right[at], this.camera.up[at]]; };
    const words = [["→", [1, 0]], ["↑", [0, 1]]].map(([arrow, way]) => {
      const [name, along] = ["x", "y", "z"].map(n => [n, dot([...axis(n), 0], [...way, 0])]).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]))[0];
      return Math.abs(along) > 0.98 ? `${arrow} ${along < 0 ? "−" : ""}${name}` : "";
    });
    part("axes").textContent = words.filter(Boolean).join("  ");
  }

  // --- slices

  readySlices() {
    part("slice-controls").hidden = !this.scene.slices;
    if (!this.scene.slices) return;
    this.slicePanel = new SlicePanel(part("slice"), this.scene.slices, image => {
      const {low, high} = this.scene.slices;
      this.drawing.setSlice(image, low, high, this.sliceZ);
      this.drawSlice(image);
      this.redraw();
    });
    const slider = part("slice-at"), count = this.scene.slices.z.length;
    slider.max = count - 1;
    slider.addEventListener("input", () => this.showSlice(Number(slider.value)));
    for (const id of ["slice-shown", "slice-cut"]) part(id).addEventListener("change", () => this.redraw());
    this.showSlice(Math.floor(count / 2));
  }

  showSlice(at) {
    this.sliceZ = this.scene.slices.z[at];
    part("slice-at").value = at;
    part("slice-place").textContent = `slice at z = ${short(this.sliceZ)} nm`;
    this.slicePanel.show(at);
  }

  drawSlice(image) {
    const lines = this.surfaces.map((surface, k) => this.shown[k] && [this.colourOf(surface), cutLines(surface, this.sliceZ)]);
    this.slicePanel.draw(image, lines.filter(Boolean), this.picked);
  }

  // --- surfaces shown and hidden

  listSurfaces() {
    this.boxes = this.surfaces.map((surface, k) => {
      const label = made("label"), box = made("input", "", {type: "checkbox", checked: this.shown[k]});
      const chip = made("span", "", {className: "chip"});
      chip.style.background = this.colourOf(surface);
      label.append(box, chip, surface.title);
      label.title = surface.name;
      box.addEventListener("change", () => this.show(k, box.checked));
      part("surfaces").append(label);
      return box;
    });
    part("surface-find").addEventListener("input", () => {
      const words = part("surface-find").value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const box of this.boxes) {
        const text = box.parentElement.textContent.toLowerCase();
        box.parentElement.hidden = !words.every(word => text.includes(word));
      }
    });
    const toEach = test => this.boxes.forEach((box, k) => box.parentElement.hidden || this.show(k, test(k)));
    part("all-shown").addEventListener("click", () => toEach(() => true));
    part("none-shown").addEventListener("click", () => toEach(() => false));
    part("picked-shown").addEventListener("click", () => this.picked && toEach(k => this.picked.surfaces.includes(k)));
    if (!this.contacts.size) part("picked-shown").hidden = true;
    const share = this.scene.drawn_share;
    if (share < 0.995) part("drawn").textContent = `Drawn with ${Math.max(1, Math.round(100 * share))} % of the triangles.`;
  }

  show(k, shown) {
    this.shown[k] = shown;
    this.boxes[k].checked = shown;
    if (this.slicePanel) this.slicePanel.show(this.slicePanel.at);
    this.redraw();
  }

  // --- contacts and places

  pick(contact, fly) {
    this.picked = contact;
    for (const row of document.querySelectorAll("tr.picked")) row.classList.remove("picked");
    if (contact) {
      for (const k of contact.surfaces) this.show(k, true);
      const row = document.querySelector(`a[href="#contact=${contact.number}"]`)?.closest("tr");
      if (row) {
        row.classList.add("picked");
        const box = row.closest(".scroll");
        box.scrollTop = row.offsetTop - box.clientHeight / 2;
      }
      try { history.replaceState(null, "", `#contact=${contact.number}`); } catch { /* a page within another may not */ }
    }
    if (contact && fly) this.flyTo(contact);
    this.paint();
  }

  flyTo(contact) {
    const room = Math.max(1.5 * contact.length, 40);
    const [low, high] = [-room, room].map(way => contact.centre.map(x => x + way / 2));
    this.camera.fit(this.canvas.clientWidth, this.canvas.clientHeight, low, high);
    if (this.slicePanel) this.showSlice(this.slicePanel.nearest(contact.centre[2]));
    this.tell(contact.title, contact.numbers);
    this.canvas.scrollIntoView({block: "nearest"});
  }

  tell(title, rows) {
    const table = made("table");
    for (const [words, value] of rows) {
      const row = table.insertRow();
      row.append(made("td", words), made("td", value));
    }
    part("told").replaceChildren(made("h3", title), table);
  }

  // The first triangle of a shown surface under a place of the picture; its surface and nearest vertex.
  hit(x, y) {
    const [start, way] = this.camera.ray(x - this.canvas.clientWidth / 2, y - this.canvas.clientHeight / 2);
    let found = null;
    this.surfaces.forEach((surface, k) => {
      if (!this.shown[k]) return;
      const {points, faces} = surface;
      for (let f = 0; f < faces.length; f += 3) {
        const [a, b, c] = [0, 1, 2].map(n => points.subarray(3 * faces[f + n], 3 * faces[f + n] + 3));
        const e1x = b[0] - a[0], e1y = b[1] - a[1], e1z = b[2] - a[2], e2x = c[0] - a[0], e2y = c[1] - a[1], e2z = c[2] - a[2];
        const px = way[1] * e2z - way[2] * e2y, py = way[2] * e2x - way[0] * e2z, pz = way[0] * e2y - way[1] * e2x;
        const size = e1x * px + e1y * py + e1z * pz;
        if (Math.abs(size) < 1e-12) continue;
        const tx = start[0] - a[0], ty = start[1] - a[1], tz = start[2] - a[2];
        const u = (tx * px + ty * py + tz * pz) / size;
        if (u < 0 || u > 1) continue;
        const qx = ty * e1z - tz * e1y, qy = tz * e1x - tx * e1z, qz = tx * e1y - ty * e1x;
        const v = (way[0] * qx + way[1] * qy + way[2] * qz) / size;
        if (v < 0 || u + v > 1) continue;
        const away = (e2x * qx + e2y * qy + e2z * qz) / size - this.liftOf(k);
        if (found && away >= found.away) continue;
        const place = plus(start, scaled(way, away));
        if (this.cut[3] && (place[2] - this.cut[2]) * this.cut[3] > 0) continue;
        const weights = [1 - u - v, u, v];
        found = {away, k, place, vertex: faces[f + weights.indexOf(Math.max(...weights))]};
      }
    });
    return found;
  }

  async clickAt(x, y) {
    const found = this.hit(x, y);
    if (!found) {
      part("told").textContent = "Click a surface, or a contact in the table.";
      return this.pick(null);
    }
    const surface = this.surfaces[found.k], number = surface.contact ? surface.contact[found.vertex] : 0;
    const contact = this.contacts.get(number) || null;
    this.pick(contact, false);
    const rows = [["x, y, z", `${found.place.map(value => value.toFixed(1)).join(", ")} nm`]];
    for (const {key, title, unit, low, high} of this.scene.measures) {
      const text = surface.packedValues[key];
      if (!text) continue;
      if (!surface.values[key]) surface.values[key] = await unpacked(text, Uint8Array);
      const code = surface.values[key][found.vertex];
      if (code === NO_CODE) continue;
      const end = code === 0 ? "≤ " : code === LAST_CODE ? "≥ " : "";
      rows.push([title, `${end}${short(low + code / LAST_CODE * (high - low))} ${unit}`]);
    }
    this.tell(contact ? `${surface.title}: contact ${number}` : surface.title, contact ? [...contact.numbers, ...rows] : rows);
  }

  // --- hands

  listen() {
    const canvas = this.canvas;
    let held = null;
    canvas.addEventListener("pointerdown", event => {
      held = {x: event.clientX, y: event.clientY, moved: 0};
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", event => {
      if (!held) return;
      const dx = event.clientX - held.x, dy = event.clientY - held.y;
      held = {x: event.clientX, y: event.clientY, moved: held.moved + Math.abs(dx) + Math.abs(dy)};
      if (event.shiftKey || event.buttons === 2 || event.buttons === 4) this.camera.shift(dx, dy);
      else this.camera.turn(dx, dy);
      this.redraw();
    });
    canvas.addEventListener("pointerup", event => {
      if (held && held.moved < 4 && event.button === 0) this.clickAt(event.offsetX, event.offsetY);
      held = null;
    });
    canvas.addEventListener("pointercancel", () => { held = null; });
    canvas.addEventListener("contextmenu", event => event.preventDefault());
    canvas.addEventListener("wheel", event => {
      event.preventDefault();
      this.camera.zoom(1.0015 ** event.deltaY, event.offsetX - canvas.clientWidth / 2, event.offsetY - canvas.clientHeight / 2);
      this.redraw();
    }, {passive: false});
    canvas.addEventListener("keydown", event => {
      const turns = {ArrowLeft: [-20, 0], ArrowRight: [20, 0], ArrowUp: [0, -20], ArrowDown: [0, 20]}[event.key];
      const zooms = {"+": 0.8, "-": 1.25}[event.key];
      if (!turns && !zooms) return;
      event.preventDefault();
      if (turns) this.camera.turn(...turns); else this.camera.zoom(zooms);
      this.redraw();
    });
    const views = {"view-z": [[0, 0, 1], [0, 1, 0]], "view-side": [[0, -1, 0], [0, 0, 1]]};
    for (const [id, axes] of Object.entries(views)) part(id).addEventListener("click", () => { this.camera.look(...axes); this.redraw(); });
    part("view-all").addEventListener("click", () => { this.camera.fit(canvas.clientWidth, canvas.clientHeight); this.redraw(); });
    new ResizeObserver(() => this.redraw()).observe(canvas);
    document.addEventListener("click", event => {
      const link = event.target.closest?.('a[href^="#contact="]');
      if (link) { event.preventDefault(); this.pickByAddress(link.hash); }
    });
    window.addEventListener("hashchange", () => this.pickByAddress(location.hash));
  }

  pickByAddress(hash) {
    const number = Number(new URLSearchParams(hash.slice(1)).get("contact"));
    if (this.contacts.has(number)) this.pick(this.contacts.get(number), true);
  }
}

(async () => {
  const scene = JSON.parse(part("scene").textContent);
  try {
    const surfaces = await Promise.all(scene.surfaces.map(unpackedSurface));
    const viewer = new Viewer(scene, surfaces);
    await viewer.coloured;
    viewer.pickByAddress(location.hash);
    part("viewer").dataset.ready = String(Math.round(performance.now())); // ms since the page was asked for
  } catch (error) {
    const words = "This browser cannot draw the surfaces (it needs WebGL 2); the tables and the VTP files hold all of it.";
    document.querySelector(".stage").append(made("p", words, {className: "failure", title: String(error)}));
    part("viewer").dataset.failed = String(error);
  }
})();
