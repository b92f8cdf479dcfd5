// Temporary access codes, which an operator gives people on the command line.
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engines } from './engine.js';
import { keys, succeeded } from './client.js';

const engine = engines.accessCodes;

function issue(email) {
  const { STILE_BIN: bin, STILE_DATA_OF_ALL: work } = process.env;
  const out = execFileSync(bin, ['users', 'code', email, '--data', `${work}/access_codes`, '--json'], { encoding: 'utf8' });
  return JSON.parse(out).profile.tac;
}

export function accessCodeSuite({ prove, connect, listed }) {
  test('AUTH_A43 an access code signs in once, and nobody sets one up', async () => {
    const owner = await prove({ engine });
    assert.ok(!listed(owner.transaction.nextStep).some((o) => o.value === 'tac'), 'it is not among what can be set up');
    await succeeded(owner.auth, await owner.auth.idx.proceed({ skip: true }), owner);
    const code = issue(owner.email);
    const asked = async () => {
      const auth = connect({ engine });
      await auth.idx.authenticate({ username: owner.email });
      const transaction = await auth.idx.proceed({ authenticator: 'tac' });
      assert.equal(transaction.nextStep.name, 'challenge-authenticator');
      assert.equal(transaction.nextStep.type, 'tac');
      assert.equal(transaction.nextStep.authenticator.displayName, 'Temporary Access Code');
      assert.deepEqual(transaction.nextStep.inputs.map((i) => i.name), ['verificationCode']);
      return auth;
    };
    const auth = await asked();
    const wrong = await auth.idx.proceed({ verificationCode: '0000-0000-0000-0000' });
    assert.deepEqual(keys(wrong), ['api.authn.error.PASSCODE_INVALID']);
    await succeeded(auth, await auth.idx.proceed({ verificationCode: code }), owner);
    const again = await asked();
    assert.deepEqual(keys(await again.idx.proceed({ verificationCode: code })), ['api.authn.error.PASSCODE_INVALID']);
  });
}
