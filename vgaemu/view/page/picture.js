// The picture: pixels as the guest's screen has them, shown as a monitor shows the mode.

import { OPAQUE } from "./pixels.js";

/** Whole factors tried for text. */
const MAX_FACTOR = 16;

/** Pixels are as in pixels.js. */
export class Picture {
  #canvas;
  #context;
  #image = null;
  #pixels = null;
  #mode = null;

  constructor(canvas, stage) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    this.stage = stage;
    new ResizeObserver(() => this.fit()).observe(stage);
  }

  get width() { return this.#canvas.width; }
  get height() { return this.#canvas.height; }

  resize(width, height) {
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#image = new ImageData(width, height);
    this.#pixels = new Uint32Array(this.#image.data.buffer).fill(OPAQUE);
    this.fit();
  }

  /** Put its pixels, row by row. */
  put({ x, y, width, height }, pixels) {
    for (let row = 0; row < height; row++) {
      const from = row * width;
      this.#pixels.set(pixels.subarray(from, from + width), (y + row) * this.width + x);
    }
  }

  fill({ x, y, width, height }, pixel) {
    for (let row = y; row < y + height; row++) {
      const begin = row * this.width + x;
      this.#pixels.fill(pixel, begin, begin + width);
    }
  }

  /** What stands at (fromX, fromY) goes there, too; the two may overlap. */
  copy({ x, y, width, height }, fromX, fromY) {
    for (let i = 0; i < height; i++) {
      const row = fromY < y ? height - 1 - i : i;
      const from = (fromY + row) * this.width + fromX;
      this.#pixels.copyWithin((y + row) * this.width + x, from, from + width);
    }
  }

  /** Bring rectangles to the eye, all at once. */
  show(rects) {
    for (const { x, y, width, height } of rects) {
      this.#context.putImageData(this.#image, 0, 0, x, y, width, height);
    }
  }

  /** The mode's name, aspect (width to height) and whether it is text. */
  set mode(mode) {
    const is = JSON.stringify(mode);
    if (is === JSON.stringify(this.#mode)) return;
    this.#mode = mode;
    this.fit();
  }

  /** Make it as large as the stage lets it be crisp; pixels are counted as the screen has them. */
  fit() {
    const scale = window.devicePixelRatio;
    const room = [this.stage.clientWidth, this.stage.clientHeight].map((n) => Math.floor(n * scale));
    const mode = this.#mode ?? { aspect: 4 / 3, text: false };
    const [width, height] = fittedSize(this.width, this.height, mode, room);
    this.#canvas.style.width = `${width / scale}px`;
    this.#canvas.style.height = `${height / scale}px`;
    this.#canvas.classList.toggle("shrunk", width < this.width || height < this.height);
  }

  /** Where in the picture the mouse is: [x, y] of a pixel. */
  at(event) {
    const box = this.#canvas.getBoundingClientRect();
    const part = (value, size, pixels) =>
      Math.max(0, Math.min(pixels - 1, Math.floor((value / size) * pixels)));
    return [
      part(event.clientX - box.left, box.width, this.width),
      part(event.clientY - box.top, box.height, this.height),
    ];
  }
}

/** The window's own rule (vgaemu/display/viewport.py): whole columns, and whole rows for text. */
export function fittedSize(columns, rows, { aspect, text }, [width, height]) {
  const ratio = columns / (rows * aspect);
  let best = null;
  if (text && Math.abs(ratio - 1) > 0.01) {
    let least = Infinity;
    for (let across = 1; across <= MAX_FACTOR && across * columns <= width; across++) {
      for (let down = 1; down <= MAX_FACTOR && down * rows <= height; down++) {
        const size = [across * columns, down * rows];
        const off = Math.round(100 * Math.abs(Math.log(size[0] / size[1] / aspect)));
        if (off < least || (off === least && size[0] * size[1] > best[0] * best[1])) {
          [least, best] = [off, size];
        }
      }
    }
  } else {
    for (let scale = Math.max(1, Math.ceil(1 / ratio)); scale * columns <= width; scale++) {
      const size = [scale * columns, Math.max(rows, Math.round(rows * ratio * scale))];
      if (size[1] <= height) best = size;
    }
  }
  if (best) return best;
  const factor = Math.min(width / columns, height / (rows * ratio));
  return [Math.max(1, Math.round(columns * factor)), Math.max(1, Math.round(rows * ratio * factor))];
}
