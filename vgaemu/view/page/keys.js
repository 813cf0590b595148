// The keyboard: where a key is (`code`) is its scancode, whatever the browser's layout types there.
// Source: IBM AT Technical Reference (set 1); UI Events KeyboardEvent code Values.

/** Keys by scancode: each row begins with one, and goes on with those after it. */
const ROWS = [
  [0x01, "Escape Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal"],
  [0x0e, "Backspace Tab KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight"],
  [0x1c, "Enter ControlLeft KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote Backquote"],
  [0x2a, "ShiftLeft Backslash KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash ShiftRight"],
  [0x37, "NumpadMultiply AltLeft Space CapsLock F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NumLock ScrollLock"],
  [0x47, "Numpad7 Numpad8 Numpad9 NumpadSubtract Numpad4 Numpad5 Numpad6 NumpadAdd"],
  [0x4f, "Numpad1 Numpad2 Numpad3 Numpad0 NumpadDecimal"],
  [0x56, "IntlBackslash F11 F12"],
  // With the prefix E0h, which is bit 7 on the wire.
  [0x9c, "NumpadEnter ControlRight"],
  [0xb5, "NumpadDivide"], [0xb7, "PrintScreen AltRight"], [0xc6, "Pause Home ArrowUp PageUp"],
  [0xcb, "ArrowLeft"], [0xcd, "ArrowRight"], [0xcf, "End ArrowDown PageDown Insert Delete"],
  [0xdb, "MetaLeft MetaRight ContextMenu"],
];

export const SCANCODES = new Map(
  ROWS.flatMap(([first, codes]) => codes.split(" ").map((code, i) => [code, first + i])),
);

/** What X calls a character: Latin 1 by its own number, others from 1000000h on; 0: no character. */
function keysymOf(key) {
  const point = [...key].length === 1 ? key.codePointAt(0) : 0;
  return point < 0x100 ? point : 0x1000000 + point;
}

/** Keys pressed on an element go to `send(down, scancode, keysym)`. */
export class Keyboard {
  /** The keys that are down, and what each was sent as. */
  #down = new Map();

  constructor(element, send) {
    this.send = send;
    element.addEventListener("keydown", (event) => this.#pressed(event));
    element.addEventListener("keyup", (event) => this.#released(event));
    // Whoever has the keys now gets their releases.
    element.addEventListener("blur", () => this.releaseAll());
    window.addEventListener("blur", () => this.releaseAll());
  }

  #pressed(event) {
    const scancode = SCANCODES.get(event.code);
    if (event.isComposing || isPaste(event)) return;
    if (scancode === undefined) {
      this.#type(event);
      return;
    }
    event.preventDefault();
    const sent = [scancode, keysymOf(event.key)];
    this.#down.set(event.code, sent);
    this.send(true, ...sent);
  }

  #released(event) {
    if (event.key === "Meta") this.releaseAll();  // with it down, macOS tells of no releases
    const sent = this.#down.get(event.code);
    if (!sent) return;
    event.preventDefault();
    this.#down.delete(event.code);
    this.send(false, ...sent);
  }

  /** A key of which nobody says where it is, as on a phone: what it types. */
  #type(event) {
    const keysym = keysymOf(event.key);
    if (!keysym || event.code) return;
    event.preventDefault();
    this.send(true, 0, keysym);
    this.send(false, 0, keysym);
  }

  releaseAll() {
    for (const sent of this.#down.values()) this.send(false, ...sent);
    this.#down.clear();
  }
}

/** The one combination that stays the browser's, which then tells of the clipboard. */
function isPaste({ code, ctrlKey, metaKey, shiftKey }) {
  return code === "KeyV" && (ctrlKey || metaKey) && shiftKey;
}
