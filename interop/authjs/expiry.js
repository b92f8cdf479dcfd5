// Passwords whose time is over, or nearly.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engines } from './engine.js';
import { freshPassword, keys, password, succeeded } from './client.js';

export function expirySuite({ connect, withPassword, version }) {
  // signedIn signs in again and again until the password's time has come.
  async function signedIn({ engine, ...owner }, until) {
    for (let i = 0; i < 100; i++) {
      const auth = connect({ engine });
      const transaction = await auth.idx.authenticate({ username: owner.email, password });
      if (transaction.nextStep?.name === until) return { auth, transaction };
      assert.equal(transaction.status, 'SUCCESS', JSON.stringify(transaction.messages));
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error(`no ${until} in ten seconds`);
  }

  function asksForNew({ nextStep }) {
    assert.equal(nextStep.type, 'password');
    assert.equal(nextStep.authenticator.settings.complexity.minLength, 8);
    assert.deepEqual(nextStep.inputs.map(({ name, label, secret }) => ({ name, label, secret })),
      [{ name: 'newPassword', label: 'New password', secret: true }]);
  }

  test('IDX_C70 AUTH_A57 an expired password is changed before anything else', async () => {
    const engine = engines.expired;
    const owner = await withPassword({ engine });
    const { auth, transaction: begun } = await signedIn(owner, 'reenroll-authenticator');
    asksForNew(begun);
    assert.equal(begun.nextStep.canSkip, undefined);
    assert.deepEqual(keys(begun), []);
    let transaction = await auth.idx.proceed({ newPassword: 'short' });
    assert.equal(transaction.requestDidSucceed, false);
    assert.equal(transaction.nextStep.name, 'reenroll-authenticator');
    assert.deepEqual(keys(transaction), ['password.passwordRequirementsNotMet']);
    transaction = await auth.idx.proceed({ newPassword: password });
    assert.equal(transaction.status, 'PENDING', 'the same one is none that is new');
    transaction = await auth.idx.proceed({ newPassword: freshPassword });
    await succeeded(auth, transaction, owner);
  });

  test('IDX_C70 AUTH_A56 of one that expires soon people are warned, and may go on', async () => {
    const engine = engines.expiring;
    const owner = await withPassword({ engine });
    const asks = version >= 8; // earlier ones know of going on only
    for (const answer of [{ skip: true }, ...(asks ? [{ newPassword: freshPassword }] : [])]) {
      const { auth, transaction: begun } = await signedIn(owner, asks ? 'reenroll-authenticator-warning' : 'skip');
      if (asks) asksForNew(begun);
      assert.equal(begun.nextStep.canSkip, true);
      assert.equal(begun.rawIdxState.currentAuthenticator.value.settings.daysToExpiry, 10);
      assert.equal(begun.requestDidSucceed, true);
      assert.deepEqual(begun.messages.map(({ i18n, class: of }) => ({ key: i18n.key, of })),
        [{ key: 'idx.password.expiring.message', of: 'INFO' }]);
      await succeeded(auth, await auth.idx.proceed(answer), owner);
    }
  });
}
