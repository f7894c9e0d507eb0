/**
 * Argon2id in a worker of its own, so that the page stays alive for the seconds that it takes.
 */

import { Refusal } from "./refusal.js";

const WORKER = new URL("./argon2-worker.js", import.meta.url);

/**
 * The 32 bytes that Argon2id (RFC 9106, one lane) makes of a passphrase. Throws Refusal("no-memory") where the
 * browser cannot give the memory.
 * @param {Uint8Array} passphrase @param {Uint8Array} salt
 * @param {{operations: number, memory: number}} strength memory in bytes
 * @param {(part: number) => void} onProgress told 0 to 1 @returns {Promise<Uint8Array>}
 */
export function derive(passphrase, salt, strength, onProgress) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(WORKER, { type: "module" });
    const failed = () => {
      worker.terminate();
      const megabytes = Math.ceil(strength.memory / 2 ** 20);
      const hint = "close other pages and try again";
      reject(new Refusal("no-memory", `the passphrase takes ${megabytes} MiB of memory to work on`, hint));
    };
    worker.onerror = failed;
    worker.onmessage = ({ data }) => {
      if (data.progress !== undefined) {
        onProgress(data.progress);
      } else if (data.key !== undefined) {
        worker.terminate();
        resolve(data.key);
      } else {
        failed();
      }
    };
    worker.postMessage({ passphrase, salt, strength });
  });
}
