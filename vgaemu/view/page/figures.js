// The figures beside the picture, as vgaemu/view/live.py tells them; colours are the page's.

/** The curve's ends and its lines, in nanoseconds, and the harvests of the 2012 patch. */
const ENDS = [1e2, 1e7], LINES = [[1e6, "1 ms"], [1e5, "100 µs"], [1e4, "10 µs"], [1e3, "1 µs"]];
/** From one label of a line to the next, at least. */
const LABEL_PX = 16;
const PATCH = [50e3, 300e3];
const CURVE_FRAMES = 300;
const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]];

/** Nanoseconds in three digits: 850 ns, 1.24 µs, 31.0 ms. */
export function duration(ns) {
  const [size, unit] = UNITS.find(([size]) => ns >= size) ?? [1, "ns"];
  const value = ns / size;
  return `${size === 1 ? value : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`;
}

function percent(part) {
  return `${part > 0 && part < 10 ? part.toFixed(1) : Math.round(part)} %`;
}

/** What there is of a frame, and how it is written. */
const ROWS = [
  ["pages", String], ["rects", String], ["redrawn", percent], ["faults", String],
  ["render", duration], ["present", duration],
];

function put(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A canvas made as fine as the screen: its context, and its width and height in CSS pixels. */
function drawingOn(canvas) {
  const scale = window.devicePixelRatio;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, width, height];
}

export class Figures {
  #curve = [];
  #map = null;

  constructor() {
    window.addEventListener("resize", () => this.#draw());
  }

  show(message) {
    put("mode", message.mode.name);
    put("keeper", `dirty log: ${message.keeper}`);
    put("role", message.looks_only ? "looking only: another viewer has the keys" : "");
    put("frame-number", `${message.frame} · ${message.frames_a_second.toFixed(1)} fps`);
    ["last", "p50", "p99", "max"].forEach((name, i) =>
      put(`harvest-${name}`, duration(message.harvest[i])));
    for (const kind of ["last", "max"]) {
      ROWS.forEach(([name, written], i) => put(`${kind}-${name}`, written(message[kind][i])));
    }
    this.#curve = [...this.#curve, ...message.curve].slice(-CURVE_FRAMES);
    this.#map = message.map;
    this.#draw();
  }

  #draw() {
    this.#drawCurve(document.getElementById("curve"));
    if (this.#map) this.#drawMap(document.getElementById("map"), this.#map);
  }

  #drawCurve(canvas) {
    const [context, width, height] = drawingOn(canvas);
    const [low, high] = ENDS.map(Math.log);
    const y = (ns) => {
      const part = (Math.log(Math.min(Math.max(ns, ENDS[0]), ENDS[1])) - low) / (high - low);
      return (1 - part) * (height - 2) + 1;
    };
    context.fillStyle = colour("band");
    context.fillRect(0, y(PATCH[1]), width, y(PATCH[0]) - y(PATCH[1]));
    context.font = "10px system-ui, sans-serif";
    let last = -LABEL_PX;
    for (const [ns, label] of LINES) {
      context.textAlign = "left";
      context.fillStyle = colour("rule");
      context.fillRect(0, Math.round(y(ns)), width, 1);
      context.fillStyle = colour("dim");
      if (y(ns) - last < LABEL_PX) continue;  // in a low curve not each line has its label
      last = y(ns);
      context.fillText(label, 4, Math.round(last) - 3);
    }
    context.textAlign = "right";
    context.fillText("2012 patch", width - 4, y(Math.sqrt(PATCH[0] * PATCH[1])) + 4);
    const step = width / CURVE_FRAMES;
    const left = width - this.#curve.length * step;
    context.fillStyle = colour("dirty");
    this.#curve.forEach((ns, i) => {
      context.globalAlpha = 0.25;
      context.fillRect(left + i * step, y(ns), step, height - y(ns));
      context.globalAlpha = 1;
      context.fillRect(left + i * step, y(ns) - 0.75, step, 1.5);
    });
  }

  /** A cell a page, lit as it was dirty; those above the legacy windows are many, and small. */
  #drawMap(canvas, map) {
    const above = Math.ceil((map.pages - map.legacy) / map.pages_a_cell);
    put("map-size", `${map.pages} pages of 4 KiB`);
    const width = canvas.clientWidth;
    const large = Math.floor(width / 32);
    const top = large * Math.ceil(map.legacy / 32) + 4;
    const small = Math.max(1, Math.floor(width / 128));
    const columns = Math.floor(width / small);
    canvas.style.height = `${top + small * Math.ceil(above / columns)}px`;
    const [context] = drawingOn(canvas);
    /** Where a cell is, and how large without the dark line between large ones. */
    const place = (cell) => {
      if (cell < map.legacy) {
        return [(cell % 32) * large, Math.floor(cell / 32) * large, large - 1, large - 1];
      }
      const i = cell - map.legacy;
      return [(i % columns) * small, top + Math.floor(i / columns) * small, small, small];
    };
    context.fillStyle = colour("cell");
    for (let cell = 0; cell < map.legacy; cell++) context.fillRect(...place(cell));
    const rows = Math.floor(above / columns);
    context.fillRect(0, top, columns * small, rows * small);
    context.fillRect(0, top + rows * small, (above % columns) * small, small);
    for (const kind of ["dirty", "clean"]) {
      context.fillStyle = colour(kind);
      for (let cell = 0; cell < map[kind].length; cell++) {
        if (map[kind][cell] === "0") continue;
        context.globalAlpha = parseInt(map[kind][cell], 16) / 15;
        context.fillRect(...place(cell));
      }
      context.globalAlpha = 1;
    }
  }
}
