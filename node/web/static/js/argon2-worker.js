/**
 * A worker: takes one passphrase, tells its progress, then the key. Nothing leaves it but to its page.
 */

import { argon2id } from "../vendor/noble-hashes/argon2.js";

self.onmessage = ({ data: { passphrase, salt, strength } }) => {
  let told = 0;
  const tell = (/** @type {number} */ progress) => {
    // The library tells ten thousand times, far more than anybody sees.
    if (progress - told >= 0.01 || progress === 1) {
      told = progress;
      self.postMessage({ progress });
    }
  };
  try {
    const key = argon2id(passphrase, salt, {
      t: strength.operations,
      m: Math.floor(strength.memory / 1024),
      p: 1,
      dkLen: 32,
      maxmem: 2 ** 31,
      onProgress: tell,
    });
    self.postMessage({ key });
  } catch {
    self.postMessage({ failed: true });
  }
};
