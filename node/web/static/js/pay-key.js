/**
 * The key of the pay page: made here or opened from a wallet file, kept in this tab's memory, and sealed under
 * a passphrase wherever else it goes. It is never sent anywhere.
 */

import { encodeAddress } from "./address.js";
import { toHex } from "./bytes.js";
import { derive } from "./derive.js";
import { byId, clearErrors, inWords, onSubmit, say, showError } from "./dom.js";
import * as keyfile from "./keyfile.js";
import { Refusal } from "./refusal.js";
import { newSeed, publicKeyOf } from "./signature.js";

const KEPT = "indelible.wallet";

/** @typedef {{publicKey: Uint8Array, seed: Uint8Array}} Key */

/**
 * Let people make, open, save, keep and close a key.
 * @param {string} prefix of addresses @param {(key: Key | null) => void} changed told of the key that is open
 */
export function keySection(prefix, changed) {
  /** @type {Key | null} */
  let open = null;
  let unsaved = false;

  const show = () => {
    byId("key-closed").hidden = open !== null;
    byId("key-opened").hidden = open === null;
    byId("key-working").hidden = true;
    byId("key-unsaved").hidden = !unsaved;
    byId("key-saving").open = unsaved;
    byId("key-address").textContent = open === null ? "" : encodeAddress(prefix, open.publicKey);
    showKept(prefix);
  };

  /** @param {Key | null} key @param {boolean} isNew */
  const use = (key, isNew = false) => {
    open?.seed.fill(0);
    open = key;
    unsaved = isNew;
    byId("key-saved").hidden = true;
    empty("kept-passphrase", "open-passphrase", "open-file", "save-passphrase", "save-again");
    show();
    say(key === null ? "The key is closed." : "The key is open.");
    byId("key-title").focus();
    changed(key);
  };

  onSubmit("make", () => {
    const seed = newSeed();
    use({ seed, publicKey: publicKeyOf(seed) }, true);
  });

  onSubmit("open", async () => {
    clearErrors("open-file", "open-passphrase");
    await guarded({ "wrong-passphrase": "open-passphrase", other: "open-file" }, async () => {
      const file = await chosenFile();
      use(await unsealed(file, byId("open-passphrase").value));
    });
    show();
  });

  onSubmit("kept", async () => {
    clearErrors("kept-passphrase");
    await guarded({ other: "kept-passphrase" }, async () => {
      const file = keyfile.parse(new TextEncoder().encode(kept() ?? ""));
      use(await unsealed(file, byId("kept-passphrase").value));
    });
    show();
  });

  byId("kept-forget").addEventListener("click", () => {
    const sure = "Remove the key from this browser? Without a wallet file of it, it is lost with its coins.";
    if (window.confirm(sure)) {
      localStorage.removeItem(KEPT);
      show();
      byId("key-title").focus();
    }
  });

  onSubmit("save", async () => {
    clearErrors("save-passphrase", "save-again", "save-keep");
    await guarded({ "not-kept": "save-keep", other: "save-passphrase" }, async () => {
      const key = /** @type {Key} */ (open);
      const content = await sealedFile(key, newPassphrase());
      if (byId("save-keep").checked) {
        keep(key, content);
      }
      const name = download(key, content);
      unsaved = false;
      byId("key-saved").textContent =
        `Saved as ${name}. Copy it to another disk, and open it here once to be sure of the passphrase.`;
      byId("key-saved").hidden = false;
      say("The wallet file is saved.");
    });
    show();
  });

  byId("key-close").addEventListener("click", () => {
    if (!unsaved || window.confirm("This key is saved nowhere. Close it, and lose it?")) {
      use(null);
    }
  });

  window.addEventListener("beforeunload", (event) => {
    if (unsaved) {
      event.preventDefault();
    }
  });

  show();
  return { key: () => open };
}

/**
 * Do something whose refusal is shown at a field: by its code, or at `other`.
 * @param {Record<string, string>} fields @param {() => Promise<void>} act
 */
async function guarded(fields, act) {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Refusal)) {
      throw error;
    }
    const field = fields[error.code] ?? (error.code === "differs" ? "save-again" : fields.other);
    byId("key-working").hidden = true;
    showError(field, inWords(error));
    say(inWords(error));
    setTimeout(() => byId(field).focus());
  }
}

/** @returns {Promise<keyfile.KeyFile>} */
async function chosenFile() {
  const [file] = byId("open-file").files;
  if (file === undefined) {
    throw new Refusal("no-file", "no file is chosen", "choose your wallet file");
  }
  if (file.size > keyfile.MAX_FILE_BYTES) {
    throw new Refusal("wallet-damaged", "this is no wallet file", "choose the one that was saved");
  }
  return keyfile.parse(new Uint8Array(await file.arrayBuffer()));
}

/** @param {keyfile.KeyFile} file @param {string} passphrase @returns {Promise<Key>} */
async function unsealed(file, passphrase) {
  if (file.sealed !== undefined && passphrase === "") {
    throw new Refusal("wrong-passphrase", "this wallet has a passphrase", "type it");
  }
  return { publicKey: file.publicKey, seed: await keyfile.unseal(file, passphrase, working) };
}

/** @returns {string} */
function newPassphrase() {
  const passphrase = byId("save-passphrase").value;
  if (passphrase === "") {
    throw new Refusal("empty", "the passphrase is empty", "type one");
  }
  if (passphrase.normalize("NFC") !== byId("save-again").value.normalize("NFC")) {
    throw new Refusal("differs", "the two passphrases differ", "type the same one twice");
  }
  return passphrase;
}

/** @param {Key} key @param {string} passphrase @returns {Promise<Uint8Array>} */
async function sealedFile({ seed, publicKey }, passphrase) {
  return keyfile.render({ publicKey, sealed: await keyfile.seal(seed, passphrase, working) });
}

/** Argon2id, with its progress on the page. @type {keyfile.Derive} */
function working(passphrase, salt, strength) {
  const progress = byId("key-progress");
  progress.value = 0;
  byId("key-working").hidden = false;
  say("Working on the passphrase.");
  return derive(passphrase, salt, strength, (part) => {
    progress.value = part;
  });
}

/** @param {Key} key @param {Uint8Array} content @returns {string} the file's name */
function download({ publicKey }, content) {
  const anchor = document.createElement("a");
  anchor.download = `wallet-${toHex(publicKey).slice(0, 8)}.json`;
  anchor.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
  return anchor.download;
}

/** The wallet file kept in this browser; null where there is none, or it keeps nothing. */
function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

/** Keep a sealed file in this browser, never in the place of another key. @param {Key} key @param {Uint8Array} content */
function keep({ publicKey }, content) {
  const before = kept();
  if (before !== null && !before.includes(toHex(publicKey))) {
    const hint = "remove it first, or do without";
    throw new Refusal("not-kept", "another key is kept in this browser already", hint);
  }
  try {
    localStorage.setItem(KEPT, new TextDecoder().decode(content));
  } catch {
    throw new Refusal("not-kept", "this browser keeps nothing for this page", "save the file alone");
  }
}

/** @param {string} prefix */
function showKept(prefix) {
  const content = kept();
  byId("kept").hidden = content === null;
  if (content === null) {
    return;
  }
  try {
    byId("kept-address").textContent = encodeAddress(
      prefix,
      keyfile.parse(new TextEncoder().encode(content)).publicKey,
    );
  } catch (error) {
    if (!(error instanceof Refusal)) {
      throw error;
    }
    byId("kept-address").textContent = inWords(error);
  }
}

/** @param {...string} ids of inputs */
function empty(...ids) {
  for (const id of ids) {
    byId(id).value = "";
  }
}
