// On every page: times in the reader's zone, and those that say "ago" kept true.

import { localise, nameZone } from "./times.js";

localise();
nameZone();
setInterval(localise, 10_000);
document.querySelector('.tabs [aria-current="page"]')?.scrollIntoView({ block: "nearest", inline: "center" });
