// What a reader has chosen, for the next time too.

/** @param {string} name @param {string} otherwise */
export function recall(name, otherwise) {
  try {
    return localStorage.getItem(`logurt.${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** @param {string} name @param {string} value */
export function remember(name, value) {
  try {
    localStorage.setItem(`logurt.${name}`, value);
  } catch {
    // A browser may forbid it: then it is chosen for this time only.
  }
}
