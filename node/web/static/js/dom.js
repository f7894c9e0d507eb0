/**
 * Small things that forms need: elements by id, errors beside their fields, words for screen readers.
 */

/** @param {string} id @returns {any} the element, which the template has */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) {
    throw new Error(`the page has no #${id}`);
  }
  return element;
}

/** Say something to those who do not see the page. @param {string} text */
export function say(text) {
  byId("say").textContent = text;
}

/**
 * Show what is wrong with a field under it, and tie it to the field.
 * @param {string} id of the field @param {string} text
 */
export function showError(id, text) {
  const [field, error] = [byId(id), byId(`${id}-error`)];
  error.textContent = text;
  error.hidden = false;
  field.setAttribute("aria-invalid", "true");
  const others = (field.getAttribute("aria-describedby") ?? "")
    .split(" ")
    .filter((/** @type {string} */ name) => name !== error.id);
  field.setAttribute("aria-describedby", [error.id, ...others].join(" ").trim());
}

/** Take the errors of these fields away. @param {...string} ids */
export function clearErrors(...ids) {
  for (const id of ids) {
    const [field, error] = [byId(id), byId(`${id}-error`)];
    error.hidden = true;
    error.textContent = "";
    field.removeAttribute("aria-invalid");
  }
}

/** Message and hint as one text. @param {{message: string, hint?: string}} refusal @returns {string} */
export function inWords({ message, hint = "" }) {
  const sentence = message.charAt(0).toUpperCase() + message.slice(1);
  return hint === "" ? `${sentence}.` : `${sentence}: ${hint}.`;
}

/**
 * Fill a list of facts.
 * @param {Element} list a dl @param {[string, string | Node][]} facts
 */
export function fillFacts(list, facts) {
  list.replaceChildren(
    ...facts.flatMap(([name, value]) => {
      const [term, description] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      description.append(value);
      return [term, description];
    }),
  );
}

/** @param {string} text @returns {Element} text of hashes and addresses */
export function code(text) {
  const element = document.createElement("code");
  element.className = "hash";
  element.textContent = text;
  return element;
}

/** @param {string} href @param {string | Node} content @returns {Element} */
export function link(href, content) {
  const element = document.createElement("a");
  element.href = href;
  element.append(content);
  return element;
}

/**
 * Run what a form does when it is sent; the browser itself never sends it.
 * @param {string} id @param {() => Promise<void> | void} act
 */
export function onSubmit(id, act) {
  byId(id).addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    act();
  });
}
