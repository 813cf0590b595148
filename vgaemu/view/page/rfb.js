// RFB 3.8 as our own server speaks it: no authentication, 32-bit pixels, Tight or Raw, QEMU's keys.
// Source: RFC 6143; the community's RFB specification (Tight, QEMU extended key events).

import { ofBits, ofNumbers, ofRaw, ofTriples, pixelAt } from "./pixels.js";
import { Incoming, Inflater, view } from "./stream.js";

const RAW = 0, COPY_RECT = 1, TIGHT = 7;
const DESKTOP_SIZE = -223, LAST_RECT = -224, QEMU_KEYS = -258, DESKTOP_NAME = -307;
/** Less than this is sent as it is by Tight. */
const TIGHT_MIN = 12;
/** Larger than any mode; more is nonsense. */
const MAX_SIDE = 16384;

export class Rfb {
  #socket;
  #incoming = new Incoming();
  #inflaters = [null, null, null, null];

  /** `tell` gets the text messages, `named` the desktop's name; `shown` is called at each update. */
  constructor(url, picture, { inflates, tell, named, shown }) {
    Object.assign(this, { picture, inflates, named, shown });
    /** When the server was last heard of. */
    this.heard = Date.now();
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = ({ data }) => {
      this.heard = Date.now();
      if (typeof data === "string") tell(JSON.parse(data));
      else this.#incoming.push(data);
    };
    this.#socket.onclose = ({ reason }) => this.#incoming.end(new Error(reason || "no connection"));
  }

  close() {
    this.#socket.close();
    this.#incoming.end(new Error("closed"));
  }

  /** Talk until the connection ends, which is the error that this throws. */
  async run() {
    try {
      await this.#shakeHands();
      this.#request(false);
      for (;;) await this.#message();
    } finally {
      this.close();
    }
  }

  async #shakeHands() {
    const from = this.#incoming;
    const version = await from.text(12);
    if (!version.startsWith("RFB 003.")) throw new Error("that is no RFB server");
    this.#send(new TextEncoder().encode("RFB 003.008\n"));
    const kinds = await from.take(await from.u8());
    if (!kinds.includes(1)) {
      const why = kinds.length ? "it asks for a password" : await from.text(await from.u32());
      throw new Error(why);
    }
    this.#send(Uint8Array.of(1));
    if (await from.u32()) throw new Error(await from.text(await from.u32()));
    this.#send(Uint8Array.of(1));  // others may go on looking
    const [width, height] = [await from.u16(), await from.u16()];
    await from.take(16);  // its own pixel format
    this.named(await from.text(await from.u32()));
    this.#resize(width, height);
    // 32 bits, 24 of them colour, lowest byte first; 8 bits each of red, green, blue from bit 0 on.
    this.#send(Uint8Array.of(0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0));
    const known = [DESKTOP_SIZE, LAST_RECT, QEMU_KEYS, DESKTOP_NAME];
    const encodings = [...(this.inflates ? [TIGHT] : []), COPY_RECT, RAW, ...known];
    const message = new DataView(new ArrayBuffer(4 + 4 * encodings.length));
    message.setUint8(0, 2);
    message.setUint16(2, encodings.length);
    encodings.forEach((encoding, i) => message.setInt32(4 + 4 * i, encoding));
    this.#send(message);
  }

  #resize(width, height) {
    if (Math.max(width, height) > MAX_SIDE) throw new Error(`a picture of ${width}x${height}`);
    this.picture.resize(width, height);
  }

  #request(incremental) {
    const message = view(Uint8Array.of(3, incremental ? 1 : 0, 0, 0, 0, 0, 0, 0, 0, 0));
    message.setUint16(6, this.picture.width);
    message.setUint16(8, this.picture.height);
    this.#send(message);
  }

  async #message() {
    const from = this.#incoming;
    const kind = await from.u8();
    if (kind === 0) await this.#update();
    else if (kind === 2) return;  // the bell
    else if (kind === 3) await from.take(3).then(async () => from.take(await from.u32()));
    else throw new Error(`the server sent a message ${kind}`);
  }

  async #update() {
    const from = this.#incoming;
    await from.u8();
    const shown = [];
    let incremental = true;
    for (let left = await from.u16(); left > 0; left--) {
      const header = view(await from.take(12));
      const [x, y, width, height] = [0, 2, 4, 6].map((at) => header.getUint16(at));
      const rect = { x, y, width, height };
      const encoding = header.getInt32(8);
      if (encoding === LAST_RECT) break;
      if (encoding === DESKTOP_SIZE) {
        this.#resize(width, height);
        shown.length = 0;
        incremental = false;  // a picture of another size is asked for as a whole
      } else if (encoding === DESKTOP_NAME) {
        this.named(await from.text(await from.u32()));
      } else if (encoding !== QEMU_KEYS) {
        if (x + width > this.picture.width || y + height > this.picture.height) {
          throw new Error("a rectangle lies outside of the picture");
        }
        await this.#draw(encoding, rect);
        shown.push(rect);
      }
    }
    this.#request(incremental);
    this.picture.show(shown);
    this.shown();
  }

  async #draw(encoding, rect) {
    const from = this.#incoming;
    if (encoding === COPY_RECT) {
      this.picture.copy(rect, await from.u16(), await from.u16());
    } else if (encoding === TIGHT) {
      await this.#drawTight(rect);
    } else if (encoding === RAW) {
      this.picture.put(rect, ofRaw(await from.take(4 * rect.width * rect.height)));
    } else {
      throw new Error(`the server used encoding ${encoding}`);
    }
  }

  async #drawTight(rect) {
    const from = this.#incoming;
    const control = await from.u8();
    for (let i = 0; i < 4; i++) if (control & (1 << i)) this.#inflaters[i] = null;
    const kind = control >> 4;
    if (kind === 8) return this.picture.fill(rect, pixelAt(await from.take(3), 0));
    if (kind > 7) throw new Error(`the server used compression ${kind} of Tight`);
    const filter = kind & 4 ? await from.u8() : 0;
    const { width, height } = rect;
    if (filter === 0) {
      const bytes = await this.#tightData(kind & 3, 3 * width * height);
      return this.picture.put(rect, ofTriples(bytes));
    }
    if (filter !== 1) throw new Error(`the server used filter ${filter} of Tight`);
    const count = await from.u8() + 1;
    const palette = ofTriples(await from.take(3 * count));
    if (count > 2) {
      const numbers = await this.#tightData(kind & 3, width * height);
      return this.picture.put(rect, ofNumbers(numbers, palette));
    }
    const bits = await this.#tightData(kind & 3, ((width + 7) >> 3) * height);
    return this.picture.put(rect, ofBits(bits, width, palette));
  }

  async #tightData(stream, size) {
    const from = this.#incoming;
    if (size < TIGHT_MIN) return from.take(size);
    let length = 0;
    for (let shift = 0; shift < 21; shift += 7) {  // seven bits a byte; the third has eight
      const byte = await from.u8();
      length |= (shift < 14 ? byte & 0x7f : byte) << shift;
      if (byte < 0x80) break;
    }
    this.#inflaters[stream] ??= new Inflater();
    return this.#inflaters[stream].inflate(await from.take(length), size);
  }

  /** A key goes down or up: its scancode in set 1 (E0h as bit 7, as QEMU has it), and its keysym. */
  key(down, scancode, keysym) {
    const message = new DataView(new ArrayBuffer(12));
    message.setUint8(0, 255);
    message.setUint16(2, down ? 1 : 0);
    message.setUint32(4, keysym);
    message.setUint32(8, scancode);
    this.#send(message);
  }

  /** The mouse is at a pixel, with these buttons down (bit 0 left, 1 middle, 2 right). */
  pointer(buttons, x, y) {
    const message = view(Uint8Array.of(5, buttons, 0, 0, 0, 0));
    message.setUint16(2, x);
    message.setUint16(4, y);
    this.#send(message);
  }

  /** Text to be typed: RFB's clipboard, which is Latin 1, and the keys that ask for it. */
  paste(text) {
    const bytes = Uint8Array.from(text, (c) => (c.codePointAt(0) < 256 ? c.codePointAt(0) : 63));
    const message = new Uint8Array(8 + bytes.length);
    message[0] = 6;
    view(message).setUint32(4, bytes.length);
    message.set(bytes, 8);
    this.#send(message);
    const keys = [[0x1d, 0xffe3], [0x2a, 0xffe1], [0x2f, 0x56]];
    for (const key of keys) this.key(true, ...key);
    for (const key of keys.reverse()) this.key(false, ...key);
  }

  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }
}
