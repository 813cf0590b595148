// What the encodings have of a rectangle, as pixels: 32 bits, red lowest, opaque, as a canvas has
// them. A loop each, as calls for each pixel would take ten times as long.

import { view } from "./stream.js";

export const OPAQUE = 0xff000000;

/** Three bytes: red, green, blue. */
export function pixelAt(bytes, at) {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | OPAQUE;
}

/** Four bytes a pixel, of which the last is nothing. */
export function ofRaw(bytes) {
  const pixels = new Uint32Array(bytes.length >> 2);
  const words = view(bytes);
  for (let i = 0; i < pixels.length; i++) pixels[i] = words.getUint32(i << 2, true) | OPAQUE;
  return pixels;
}

/** Three bytes a pixel. */
export function ofTriples(bytes) {
  const pixels = new Uint32Array(bytes.length / 3);
  for (let i = 0, at = 0; i < pixels.length; i++, at += 3) {
    pixels[i] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | OPAQUE;
  }
  return pixels;
}

/** A byte a pixel: a number in a palette of pixels. */
export function ofNumbers(numbers, palette) {
  const pixels = new Uint32Array(numbers.length);
  for (let i = 0; i < pixels.length; i++) pixels[i] = palette[numbers[i]];
  return pixels;
}

/** A bit a pixel, highest first; each row begins with a byte. */
export function ofBits(bytes, width, palette) {
  const pitch = (width + 7) >> 3;
  const pixels = new Uint32Array((bytes.length / pitch) * width);
  for (let i = 0, row = 0; row < bytes.length; row += pitch) {
    for (let x = 0; x < width; x++) pixels[i++] = palette[(bytes[row + (x >> 3)] >> (7 - (x & 7))) & 1];
  }
  return pixels;
}
