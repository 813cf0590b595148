// Bytes that come in pieces: what a WebSocket brings, and what a zlib stream gives.

/** The bytes of a WebSocket's messages in their order, however the messages cut them. */
export class Incoming {
  #parts = [];
  #length = 0;
  #wanted = null;
  #over = null;

  push(buffer) {
    this.#parts.push(new Uint8Array(buffer));
    this.#length += buffer.byteLength;
    this.#serve();
  }

  /** There will be no more: whoever waits, or asks for more than there is, gets the error. */
  end(error) {
    this.#over ??= error;
    this.#serve();
  }

  /** The next `count` bytes, in a Uint8Array; only one may be waited for at a time. */
  async take(count) {
    while (this.#length < count) {
      if (this.#over) throw this.#over;
      await new Promise((resolve) => { this.#wanted = { count, resolve }; });
    }
    this.#length -= count;
    const first = this.#parts[0];
    if (!first || first.length >= count) return this.#cut(count);
    const taken = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const part = this.#cut(Math.min(count - at, this.#parts[0].length));
      taken.set(part, at);
      at += part.length;
    }
    return taken;
  }

  async u8() { return (await this.take(1))[0]; }
  async u16() { return view(await this.take(2)).getUint16(0); }
  async u32() { return view(await this.take(4)).getUint32(0); }
  async text(length) { return new TextDecoder().decode(await this.take(length)); }

  /** Of the first piece, which has so many. */
  #cut(count) {
    if (!count) return new Uint8Array(0);
    const first = this.#parts[0];
    if (first.length === count) return this.#parts.shift();
    this.#parts[0] = first.subarray(count);
    return first.subarray(0, count);
  }

  #serve() {
    if (!this.#wanted || (this.#length < this.#wanted.count && !this.#over)) return;
    const { resolve } = this.#wanted;
    this.#wanted = null;
    resolve();
  }
}

export function view(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A zlib stream that lasts as long as a connection, and is flushed after each piece. */
export class Inflater {
  #stream = new DecompressionStream("deflate");
  #writer = this.#stream.writable.getWriter();
  #reader = this.#stream.readable.getReader();
  #rest = new Uint8Array(0);

  /** What a piece inflates to, which is known to be `size` bytes. */
  async inflate(piece, size) {
    this.#writer.write(piece).catch(() => {});  // the reader tells of the same error
    const inflated = new Uint8Array(size);
    for (let at = 0; at < size;) {
      if (!this.#rest.length) {
        const { value, done } = await this.#reader.read();
        if (done) throw new Error("a zlib stream ended");
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, size - at);
      inflated.set(part, at);
      at += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return inflated;
  }
}

/** Whether this browser gives what was flushed at once, and does not wait for more. */
export async function inflatesAtOnce(patienceMs = 300) {
  if (typeof DecompressionStream === "undefined") return false;
  // A zlib header, a stored block of the byte 56h, and the empty block that a sync flush ends with.
  const piece = Uint8Array.of(0x78, 0x01, 0, 1, 0, 0xfe, 0xff, 0x56, 0, 0, 0, 0xff, 0xff);
  const late = new Promise((resolve) => setTimeout(resolve, patienceMs, false));
  const inflated = new Inflater().inflate(piece, 1).then(([byte]) => byte === 0x56, () => false);
  return Promise.race([inflated, late]);
}
