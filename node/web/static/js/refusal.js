/**
 * What is refused, and what to do next. Pure.
 */

/** Something that cannot be done as asked: a stable code, a sentence, and the next thing to do. */
export class Refusal extends Error {
  /** @param {string} code @param {string} message @param {string} [hint] */
  constructor(code, message, hint = "") {
    super(message);
    this.name = "Refusal";
    this.code = code;
    this.hint = hint;
  }
}
