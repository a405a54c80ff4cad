import assert from "node:assert/strict";
import test from "node:test";

import { Cut, LogurtError, disconnect, refusal } from "../../../viewer/client/errors.js";

for (const status of [408, 429, 500, 502, 503, 504]) {
  test(`a refusal with ${status} may pass`, () => {
    assert.ok(refusal(status, "") instanceof Cut);
  });
}

for (const status of [400, 401, 403, 404, 405]) {
  test(`a refusal with ${status} does not pass`, () => {
    const error = refusal(status, "a sentence");
    assert.ok(error instanceof LogurtError);
    assert.deepEqual([error.message, error.status], ["a sentence", status]);
  });
}

for (const code of [1000, 1001, 1005, 1006, 1011, 4408, 4503]) {
  test(`a stream closed with ${code} may be gone on with`, () => {
    const cut = disconnect(code, "why");
    assert.ok(cut instanceof Cut);
    assert.deepEqual([cut.message, cut.isStopping], ["why", code === 1001]);
  });
}

for (const [code, status] of [[1008, undefined], [1009, undefined], [4400, 400], [4401, 401], [4403, 403]]) {
  test(`a stream closed with ${code} is over`, () => {
    const error = disconnect(/** @type {number} */ (code), "");
    assert.ok(error instanceof LogurtError);
    assert.deepEqual([error.code, error.status], [code, status]);
  });
}
