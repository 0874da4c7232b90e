// Surfaces and one slice, drawn by WebGL 2.

const SURFACE_POINTS = `#version 300 es
in vec3 point; in vec4 normal; in vec4 look;
uniform mat4 view; uniform vec3 toward; uniform float lift;
out float light; out vec3 place; out float value; out float known; out float marked;
void main() {
  gl_Position = view * vec4(point + lift * toward, 1.0);
  light = dot(normalize(normal.xyz), toward);
  place = point;
  known = look.y;
  value = look.x * look.y;
  marked = look.z;
}`;
const SURFACE_PIXELS = `#version 300 es
precision highp float;
in float light; in vec3 place; in float value; in float known; in float marked;
uniform sampler2D colours; uniform vec2 span; uniform vec3 plain; uniform bool valued;
uniform float faded; uniform vec4 cut;
out vec4 pixel;
void main() {
  if (cut.w != 0.0 && (place.z - cut.z) * cut.w > 0.0) discard;
  vec3 colour = plain;
  if (valued) {
    float share = (value / max(known, 1e-6) - span.x) / (span.y - span.x);
    colour = known < 0.5 ? vec3(0.79, 0.81, 0.83) : texture(colours, vec2(clamp(share, 0.002, 0.998), 0.5)).rgb;
  }
  if (marked < 0.5) colour = mix(colour, vec3(0.86), faded);
  pixel = vec4(colour * (0.45 + 0.6 * abs(light)), 1.0);
}`;
const SLICE_POINTS = `#version 300 es
in vec3 point; in vec2 at; uniform mat4 view; out vec2 pixelAt;
void main() { gl_Position = view * vec4(point, 1.0); pixelAt = at; }`;
const SLICE_PIXELS = `#version 300 es
precision highp float;
in vec2 pixelAt; uniform sampler2D picture; out vec4 pixel;
void main() { pixel = vec4(texture(picture, pixelAt).rgb, 1.0); }`;

class Drawing {
  constructor(canvas, surfaces) {
    const gl = this.gl = canvas.getContext("webgl2", {antialias: true});
    if (!gl) throw new Error("no WebGL 2");
    this.surfaceProgram = program(gl, SURFACE_POINTS, SURFACE_PIXELS);
    this.sliceProgram = program(gl, SLICE_POINTS, SLICE_PIXELS);
    this.colours = picture(gl);
    this.slicePicture = picture(gl);
    this.hasSlice = false;
    this.parts = surfaces.map(surface => this.part(surface));
    this.sliceArray = gl.createVertexArray();
    this.sliceCorners = gl.createBuffer();
    gl.bindVertexArray(this.sliceArray);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.sliceCorners);
    attribute(gl, this.sliceProgram, "point", 3, gl.FLOAT, false, 20, 0);
    attribute(gl, this.sliceProgram, "at", 2, gl.FLOAT, false, 20, 12);
    gl.bindVertexArray(null);
    gl.enable(gl.DEPTH_TEST);
    gl.clearColor(1, 1, 1, 1);
  }

  part({points, normals, faces}) {
    const gl = this.gl, array = gl.createVertexArray(), look = gl.createBuffer();
    gl.bindVertexArray(array);
    filled(gl, gl.ARRAY_BUFFER, points);
    attribute(gl, this.surfaceProgram, "point", 3, gl.FLOAT, false, 12, 0);
    filled(gl, gl.ARRAY_BUFFER, normals);
    attribute(gl, this.surfaceProgram, "normal", 4, gl.BYTE, true, 4, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, look);
    gl.bufferData(gl.ARRAY_BUFFER, 4 * points.length / 3, gl.DYNAMIC_DRAW);
    attribute(gl, this.surfaceProgram, "look", 4, gl.UNSIGNED_BYTE, true, 4, 0);
    filled(gl, gl.ELEMENT_ARRAY_BUFFER, faces);
    gl.bindVertexArray(null);
    return {array, look, count: faces.length};
  }

  // Four bytes a vertex: value, whether it has one, whether it is marked, nothing.
  setLook(at, bytes) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.parts[at].look);
    this.gl.bufferSubData(this.gl.ARRAY_BUFFER, 0, bytes);
  }

  setColours(table) {
    const gl = this.gl;
    gl.bindTexture(gl.TEXTURE_2D, this.colours);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, table.length / 3, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, table);
  }

  setSlice(image, low, high, z) {
    const gl = this.gl;
    gl.bindTexture(gl.TEXTURE_2D, this.slicePicture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, image);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.sliceCorners);
    const corner = (u, v) => [u ? high[0] : low[0], v ? high[1] : low[1], z, u, v];
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([[0, 0], [1, 0], [0, 1], [1, 1]].flatMap(([u, v]) => corner(u, v))), gl.DYNAMIC_DRAW);
    this.hasSlice = true;
  }

  // looks: of each surface whether it is shown, its plain colour (0 to 1), how far it is faded and lifted.
  draw(camera, {looks, valued, span, slice, cut}) {
    const gl = this.gl, canvas = gl.canvas, ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const view = camera.matrix(canvas.clientWidth, canvas.clientHeight);
    const at = name => gl.getUniformLocation(this.surfaceProgram, name);
    gl.useProgram(this.surfaceProgram);
    gl.uniformMatrix4fv(at("view"), false, view);
    gl.uniform3fv(at("toward"), camera.toward);
    gl.uniform2fv(at("span"), span);
    gl.uniform4fv(at("cut"), cut);
    gl.uniform1i(at("valued"), valued);
    gl.bindTexture(gl.TEXTURE_2D, this.colours);
    this.parts.forEach((part, k) => {
      if (!looks[k].shown) return;
      gl.uniform3fv(at("plain"), looks[k].colour);
      gl.uniform1f(at("faded"), looks[k].faded);
      gl.uniform1f(at("lift"), looks[k].lift);
      gl.bindVertexArray(part.array);
      gl.drawElements(gl.TRIANGLES, part.count, gl.UNSIGNED_INT, 0);
    });
    if (slice && this.hasSlice) {
      gl.useProgram(this.sliceProgram);
      gl.uniformMatrix4fv(gl.getUniformLocation(this.sliceProgram, "view"), false, view);
      gl.bindTexture(gl.TEXTURE_2D, this.slicePicture);
      gl.bindVertexArray(this.sliceArray);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
    gl.bindVertexArray(null);
  }
}

function program(gl, points, pixels) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, points], [gl.FRAGMENT_SHADER, pixels]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  return made;
}

function picture(gl) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  for (const size of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, size, gl.LINEAR);
  return made;
}

function filled(gl, kind, values) {
  gl.bindBuffer(kind, gl.createBuffer());
  gl.bufferData(kind, values, gl.STATIC_DRAW);
}

function attribute(gl, made, name, size, kind, normalized, stride, offset) {
  const at = gl.getAttribLocation(made, name);
  if (at < 0) return;
  gl.enableVertexAttribArray(at);
  gl.vertexAttribPointer(at, size, kind, normalized, stride, offset);
}
