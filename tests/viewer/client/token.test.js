import assert from "node:assert/strict";
import test from "node:test";

import { Credential, claims } from "../../../viewer/client/token.js";

/** @param {unknown} held */
const token = (held) => `x.${Buffer.from(JSON.stringify(held)).toString("base64url")}.y`;

/** @param {number} seconds from now */
const expiring = (seconds) => token({ exp: Math.round(Date.now() / 1000) + seconds });

test("claims are what a token says of itself, in any script", () => {
  assert.deepEqual(claims(token({ namespace: "a", sub: "Zoë ?>~" })), { namespace: "a", sub: "Zoë ?>~" });
});

for (const text of ["", "x", "x.y.z", "x.=.z", token([]), token(null), token("text")]) {
  test(`a token like ${JSON.stringify(text)} has no claims`, () => {
    assert.deepEqual(claims(text), {});
  });
}

test("a credential tells when its token expires by the clock of this machine", () => {
  const credential = new Credential(token({ exp: 2_000_000_000 }), undefined);
  assert.equal(credential.expiresAt, 2_000_000_000_000);
  credential.accepted(new Date(Date.now() + 600_000).toUTCString());
  assert.ok(Math.abs(/** @type {number} */ (credential.expiresAt) - 1_999_999_400_000) < 2000);
  credential.accepted(new Date(Date.now() + 900).toUTCString());
  assert.equal(credential.expiresAt, 2_000_000_000_000);
});

test("a token is renewed when four fifths of what is left of its life are over", () => {
  const renew = async () => "";
  assert.ok(Math.abs(Number(new Credential(expiring(100), renew).renewIn) - 80_000) < 1000);
  assert.equal(new Credential(expiring(-5), renew).renewIn, 1000);
  assert.equal(new Credential(expiring(1e9), renew).renewIn, 2 ** 31 - 1);
});

test("a token is not renewed if it does not say when it expires, or nobody can", () => {
  assert.equal(new Credential(token({}), async () => "").renewIn, undefined);
  assert.equal(new Credential(expiring(100), undefined).renewIn, undefined);
});

test("a token that no server has taken yet is not replaced by another", async () => {
  const credential = new Credential("a", async () => " b\n");
  assert.deepEqual([await credential.renew(), credential.token, await credential.renew()], [true, "b", false]);
  credential.accepted();
  assert.ok(await credential.renew());
});
