// Sign-in by email only.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engines, web, spa, address, mail, wrong } from './engine.js';
import { keys, shapeOf, succeeded } from './client.js';

// settled polls until it is known what has become of the mail.
async function settled(auth) {
  for (let i = 0; i < 100; i++) {
    const transaction = await auth.idx.proceed({ actions: [{ name: 'currentAuthenticatorEnrollment-poll' }] });
    if (!JSON.stringify(transaction.rawIdxState).includes('"queued"')) return transaction;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error('the mail stays queued');
}

export function signInSuite({ connect, account }) {
  for (const app of [web, spa]) {
    test(`IDX_C51 AUTH_A79 sign-in by email only, ${app.name}`, async () => {
      const owner = await account({ app });
      const auth = connect({ app });
      let transaction = await auth.idx.authenticate({ username: owner.email });
      assert.equal(transaction.status, 'PENDING');
      const { nextStep } = transaction;
      assert.equal(nextStep.name, 'challenge-authenticator');
      assert.equal(nextStep.type, 'email');
      assert.equal(nextStep.authenticator.key, 'okta_email');
      assert.equal(nextStep.authenticator.displayName, 'Email');
      assert.match(nextStep.authenticator.profile.email, /^j\*+.@example\.com$/);
      assert.deepEqual(nextStep.inputs.map((i) => i.name), ['verificationCode']);
      assert.equal(nextStep.canResend, true);
      assert.equal(nextStep.canSkip, undefined);

      const { code } = await mail(owner.engine, owner.email, owner.message);
      transaction = await auth.idx.proceed({ verificationCode: code });
      const claims = await succeeded(auth, transaction, owner);
      assert.equal(claims.sub, owner.tokens.idToken.claims.sub);
    });
  }

  test('authenticate() with nothing stops at the username', async () => {
    const owner = await account();
    const auth = connect();
    let transaction = await auth.idx.authenticate();
    assert.equal(transaction.nextStep.name, 'identify');
    assert.equal(transaction.nextStep.inputs[0].name, 'username');
    assert.equal(transaction.nextStep.inputs[0].label, 'Username');
    transaction = await auth.idx.proceed({ username: owner.email.toUpperCase() });
    assert.equal(transaction.nextStep.name, 'challenge-authenticator', 'addresses are told apart by their canonical form');
  });

  test('a wrong code at sign-in is refused, the right one then works', async () => {
    const owner = await account();
    const auth = connect();
    await auth.idx.authenticate({ username: owner.email });
    const { code } = await mail(owner.engine, owner.email, owner.message);
    let transaction = await auth.idx.proceed({ verificationCode: wrong(code) });
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.nextStep.name, 'challenge-authenticator');
    assert.deepEqual(keys(transaction), ['api.authn.error.PASSCODE_INVALID']);
    transaction = await auth.idx.proceed({ verificationCode: code });
    await succeeded(auth, transaction, owner);
  });

  test('resend at sign-in', async () => {
    const owner = await account();
    const auth = connect();
    await auth.idx.authenticate({ username: owner.email });
    const first = await mail(owner.engine, owner.email, owner.message);
    let transaction = await auth.idx.proceed({ resend: true });
    assert.equal(transaction.nextStep.name, 'challenge-authenticator');
    const second = await mail(owner.engine, owner.email, first);
    transaction = await auth.idx.proceed({ verificationCode: second.code });
    await succeeded(auth, transaction, owner);
  });

  test('an unknown username looks like a known one (protect)', async () => {
    const owner = await account();
    const owned = connect();
    const known = await owned.idx.authenticate({ username: owner.email });
    const email = address();
    const auth = connect();
    const unknown = await auth.idx.authenticate({ username: email });
    assert.deepEqual(shapeOf(unknown, email), shapeOf(known, owner.email));

    const notice = await mail(engines.protect, email);
    assert.ok(!notice.code, 'no code goes to an address without an account');
    assert.deepEqual(shapeOf(await settled(auth), email), shapeOf(await settled(owned), owner.email));

    const transaction = await auth.idx.proceed({ verificationCode: '123456' });
    assert.deepEqual(keys(transaction), ['api.authn.error.PASSCODE_INVALID']);
  });

  test('an unknown username is named (disclose)', async () => {
    const engine = engines.disclose;
    const owner = await account({ engine });
    const email = address();
    const auth = connect({ engine });
    let transaction = await auth.idx.authenticate({ username: email });
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.nextStep.name, 'identify');
    assert.deepEqual(transaction.messages.map(({ message, i18n }) => ({ message, key: i18n.key })),
      [{ message: `There is no account with the Username ${email}.`, key: 'idx.unknown.user' }]);

    transaction = await auth.idx.proceed({ username: owner.email });
    assert.equal(transaction.nextStep.name, 'challenge-authenticator');
  });
}
