// The page: a viewer that connects again whenever it can, and the figures beside it.

import { Figures } from "./figures.js";
import { Keyboard } from "./keys.js";
import { Picture } from "./picture.js";
import { Rfb } from "./rfb.js";
import { inflatesAtOnce } from "./stream.js";

/** From one try to the next: of a server that was away, and of one that knows us no more. */
const RETRY_MS = 500, STRANGER_MS = 10000;
/** Figures come ten times a second, and else a picture is under way: a server that has been silent
 * for so long is gone. */
const SILENCE_MS = 20000;

const [stage, notice] = ["stage", "notice"].map((id) => document.getElementById(id));
const picture = new Picture(document.getElementById("picture"), stage);
const figures = new Figures();
const token = new URLSearchParams(location.search).get("token");
const socketAddress = new URL(`live?token=${encodeURIComponent(token)}`, location.href);
socketAddress.protocol = location.protocol === "https:" ? "wss:" : "ws:";

let rfb = null;
let looksOnly = true;

/** What the page says instead of the picture, or over it; nothing: all is well. */
function say(text) {
  if (notice.textContent === text) return;
  notice.textContent = text;
  document.body.classList.toggle("lost", text !== "");
}

function told(message) {
  looksOnly = message.looks_only;
  document.body.classList.toggle("looks-only", looksOnly);
  picture.mode = message.mode;
  figures.show(message);
}

function named(name) {
  document.title = name;
}

async function pause(ms) {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Say why there is no connection, and wait: there is no server, or one with another token. */
async function waitForServer() {
  try {
    const { ok } = await fetch(location.href, { cache: "no-store" });
    say(ok ? "connecting again" : "vgaemu was started anew: open the address that it printed");
    await pause(ok ? RETRY_MS : STRANGER_MS);
  } catch {
    say("vgaemu does not answer; waiting for it");
    await pause(RETRY_MS);
  }
}

async function connect(inflates) {
  rfb = new Rfb(socketAddress, picture, { inflates, tell: told, named, shown: () => say("") });
  const watch = setInterval(() => {
    if (Date.now() - rfb.heard > SILENCE_MS) rfb.close();
  }, SILENCE_MS / 5);
  try {
    await rfb.run();
  } catch (error) {
    console.info(`vgaemu: ${error.message}`);
  } finally {
    clearInterval(watch);
  }
}

const keyboard = new Keyboard(stage, (down, scancode, keysym) => {
  if (!looksOnly) rfb?.key(down, scancode, keysym);
});

/** The mouse did something; a step of its wheel is a button that goes down and up. */
function pointer(event) {
  if (looksOnly) return;
  const { buttons, deltaY } = event;
  // RFB has the middle button before the right one.
  const down = (buttons & 1) | ((buttons & 4) >> 1) | ((buttons & 2) << 1);
  if (deltaY) rfb?.pointer(down | (deltaY < 0 ? 8 : 16), ...picture.at(event));
  rfb?.pointer(down, ...picture.at(event));
}

for (const kind of ["mousemove", "mousedown", "mouseup", "wheel"]) {
  stage.addEventListener(kind, pointer, { passive: true });
}
stage.addEventListener("contextmenu", (event) => event.preventDefault());
document.addEventListener("paste", (event) => {
  event.preventDefault();
  if (!looksOnly) rfb?.paste(event.clipboardData.getData("text"));
});
document.getElementById("hide").addEventListener("click", () => {
  document.body.classList.add("picture-only");
  stage.focus();
});
document.getElementById("show").addEventListener("click", () => {
  document.body.classList.remove("picture-only");
  stage.focus();
});
document.getElementById("full").addEventListener("click", async () => {
  await stage.requestFullscreen();
  stage.focus();
  await navigator.keyboard?.lock?.();  // Esc and Ctrl+W are the guest's, too, where a browser lets
});

stage.focus();
const inflates = await inflatesAtOnce();
for (;;) {
  await connect(inflates);
  keyboard.releaseAll();
  await waitForServer();
}
