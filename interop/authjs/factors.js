// Sign-in by password, by a choice of factors, and by two of them.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engines, web, spa, address, mail, mails, wrong } from './engine.js';
import { keys, optionalAuthenticators, password, shapeOf, succeeded } from './client.js';

export function factorSuite({ connect, account, prove, withPassword, listed, version }) {
  const both = [{ label: 'Email', value: 'okta_email' }, { label: 'Password', value: 'okta_password' }];

  for (const app of [web, spa]) {
    test(`IDX_C53 the password on the first form, ${app.name}`, async () => {
      const engine = engines.passwordFirst;
      const owner = await withPassword({ engine, app });
      const auth = connect({ engine, app });
      let transaction = await auth.idx.startTransaction();
      assert.deepEqual(transaction.enabledFeatures, ['recover-password', 'enroll-profile']);
      transaction = await auth.idx.authenticate();
      assert.equal(transaction.nextStep.name, 'identify');
      assert.deepEqual(transaction.nextStep.inputs.map(({ name, secret, required }) => ({ name, secret, required })), [
        { name: 'username', secret: undefined, required: true },
        { name: 'password', secret: true, required: true },
        { name: 'rememberMe', secret: undefined, required: undefined },
      ]);
      transaction = await auth.idx.proceed({ username: owner.email, password });
      const claims = await succeeded(auth, transaction, owner);
      assert.equal(claims.sub, owner.tokens.idToken.claims.sub);
      assert.deepEqual(claims.amr, ['pwd']);
    });
  }

  test('IDX_C53 IDX_C57 user name and password in one call, kept signed in or not', async () => {
    const engine = engines.passwordFirst;
    const owner = await withPassword({ engine });
    for (const rememberMe of [undefined, true, false]) {
      const auth = connect({ engine });
      await succeeded(auth, await auth.idx.authenticate({ username: owner.email, password, rememberMe }), owner);
    }
  });

  test('IDX_C54 E14 a wrong password on the first form looks like a wrong user name', async () => {
    const engine = engines.passwordFirst;
    const owner = await withPassword({ engine });
    const auth = connect({ engine });
    const known = await auth.idx.authenticate({ username: owner.email, password: `${password}x` });
    assert.equal(known.status, 'PENDING');
    assert.equal(known.requestDidSucceed, false);
    assert.equal(known.nextStep.name, 'identify');
    assert.deepEqual(known.messages.map(({ message, i18n }) => ({ message, key: i18n.key })),
      [{ message: 'Authentication failed', key: 'errors.E0000004' }]);
    const email = address();
    const unknown = await connect({ engine }).idx.authenticate({ username: email, password });
    assert.deepEqual(shapeOf(unknown, email), shapeOf(known, owner.email));
    const none = await account({ engine });
    const without = await connect({ engine }).idx.authenticate({ username: none.email, password });
    assert.deepEqual(shapeOf(without, none.email), shapeOf(known, owner.email));

    await succeeded(auth, await auth.idx.proceed({ username: owner.email, password }), owner);
  });

  test('the password where the email goes first', async () => {
    const owner = await withPassword();
    const auth = connect();
    let transaction = await auth.idx.authenticate({ username: owner.email });
    assert.equal(transaction.nextStep.type, 'email');
    transaction = await auth.idx.proceed({ authenticator: 'okta_password' });
    assert.equal(transaction.nextStep.name, 'challenge-authenticator');
    assert.equal(transaction.nextStep.type, 'password');
    assert.deepEqual(transaction.nextStep.inputs.map(({ name, label, secret, required }) => ({ name, label, secret, required })),
      [{ name: 'password', label: 'Password', secret: true, required: true }]);
    assert.deepEqual(transaction.enabledFeatures, []);
    transaction = await auth.idx.proceed({ password });
    assert.deepEqual((await succeeded(auth, transaction, owner)).amr, ['pwd']);
  });

  test('user name and password in one call, where the email goes first', async () => {
    const owner = await withPassword();
    const auth = connect();
    await succeeded(auth, await auth.idx.authenticate({ username: owner.email, password }), owner);
  });

  test('IDX_C52 where both are required the list comes first, and nothing is sent', async () => {
    const engine = engines.requirePassword;
    const owner = await withPassword({ engine });
    for (const email of [owner.email, address()]) {
      const sent = (await mails(engine, email)).length;
      const auth = connect({ engine });
      const transaction = await auth.idx.authenticate({ username: email });
      assert.equal(transaction.nextStep.name, 'select-authenticator-authenticate');
      assert.deepEqual(listed(transaction.nextStep), [both[0], ...optionalAuthenticators]);
      assert.equal((await mails(engine, email)).length, sent);
    }
    for (const authenticator of ['okta_email', 'okta_password']) {
      const auth = connect({ engine });
      await auth.idx.authenticate({ username: owner.email });
      let transaction = await auth.idx.proceed({ authenticator });
      assert.equal(transaction.nextStep.name, 'challenge-authenticator');
      assert.equal(transaction.nextStep.authenticator.key, authenticator);
      transaction = await auth.idx.proceed(authenticator === 'okta_password'
        ? { password } : { verificationCode: (await mail(engine, owner.email, owner.message)).code });
      await succeeded(auth, transaction, owner);
    }
  });

  test('IDX_C54 E13 a wrong password at its challenge is refused, the right one then works', async () => {
    const engine = engines.requirePassword;
    const owner = await withPassword({ engine });
    const auth = connect({ engine });
    let transaction = await auth.idx.authenticate({ username: owner.email, authenticator: 'okta_password' });
    assert.equal(transaction.nextStep.type, 'password');
    transaction = await auth.idx.proceed({ password: `${password}x` });
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.requestDidSucceed, false);
    assert.equal(transaction.nextStep.name, 'challenge-authenticator');
    assert.deepEqual(transaction.messages.map(({ message, i18n }) => ({ message, key: i18n.key })),
      [{ message: 'Password is incorrect', key: 'incorrectPassword' }]);
    await succeeded(auth, await auth.idx.proceed({ password }), owner);
  });

  test('IDX_C54 E09 after five wrong passwords the right one is refused, and the email is the way on', async () => {
    const owner = await withPassword();
    const auth = connect();
    await auth.idx.authenticate({ username: owner.email });
    const { code } = await mail(owner.engine, owner.email, owner.message);
    await auth.idx.proceed({ authenticator: 'okta_password' });
    for (let i = 1; i <= 5; i++) await auth.idx.proceed({ password: `${password}${i}` });
    let transaction = await auth.idx.proceed({ password });
    assert.equal(transaction.status, 'PENDING');
    assert.deepEqual(keys(transaction), ['authfactor.challenge.suspended_factor']);
    transaction = await auth.idx.proceed({ authenticator: 'okta_email' });
    assert.equal(transaction.nextStep.type, 'email');
    await succeeded(auth, await auth.idx.proceed({ verificationCode: code }), owner);
  });

  for (const first of ['okta_password', 'okta_email']) {
    test(`IDX_C55 two factors, ${first} first`, async () => {
      const engine = engines.twoFactors;
      const owner = await withPassword({ engine });
      const auth = connect({ engine });
      let last = owner.message;
      const show = async (key) => {
        if (key === 'okta_password') return auth.idx.proceed({ password });
        last = await mail(engine, owner.email, last);
        return auth.idx.proceed({ verificationCode: last.code });
      };
      const second = first === 'okta_email' ? 'okta_password' : 'okta_email';
      let transaction = await auth.idx.authenticate({ username: owner.email });
      assert.deepEqual(listed(transaction.nextStep), both);
      await auth.idx.proceed({ authenticator: first });
      transaction = await show(first);
      assert.equal(transaction.status, 'PENDING');
      assert.equal(transaction.nextStep.name, 'select-authenticator-authenticate');
      assert.deepEqual(listed(transaction.nextStep), both.filter((o) => o.value === second));
      assert.equal(transaction.nextStep.canSkip, undefined);
      transaction = await auth.idx.proceed({ authenticator: second });
      assert.equal(transaction.nextStep.authenticator.key, second);
      transaction = await show(second);
      const claims = await succeeded(auth, transaction, owner);
      assert.deepEqual([...claims.amr].sort(), ['mfa', 'otp', 'pwd']);
    });
  }

  test('IDX_C55 two factors run to the code unattended', async () => {
    const engine = engines.twoFactors;
    const owner = await withPassword({ engine });
    const auth = connect({ engine });
    let transaction = await auth.idx.authenticate({ username: owner.email, password, authenticators: ['okta_email'] });
    assert.equal(transaction.nextStep.name, 'challenge-authenticator', JSON.stringify(transaction.nextStep));
    assert.equal(transaction.nextStep.type, 'email');
    const { code } = await mail(engine, owner.email, owner.message);
    transaction = await auth.idx.proceed({ verificationCode: code });
    await succeeded(auth, transaction, owner);
  });

  test('IDX_C55 a wrong second factor does not take the first one away', async () => {
    const engine = engines.twoFactors;
    const owner = await withPassword({ engine });
    const auth = connect({ engine });
    await auth.idx.authenticate({ username: owner.email, password });
    let transaction = await auth.idx.proceed({ authenticator: 'okta_email' });
    const { code } = await mail(engine, owner.email, owner.message);
    transaction = await auth.idx.proceed({ verificationCode: wrong(code) });
    assert.deepEqual(keys(transaction), ['api.authn.error.PASSCODE_INVALID']);
    await succeeded(auth, await auth.idx.proceed({ verificationCode: code }), owner);
  });

  test('IDX_C56 who lacks a required authenticator enrols it at sign-in', async () => {
    const engine = engines.requirePassword;
    const owner = await prove({ engine }); // the account is there, the password is not
    const auth = connect({ engine });
    await auth.idx.authenticate({ username: owner.email, authenticator: 'okta_email' });
    const { code } = await mail(engine, owner.email, owner.message);
    let transaction = await auth.idx.proceed({ verificationCode: code });
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.nextStep.name, 'select-authenticator-enroll');
    assert.deepEqual(listed(transaction.nextStep), [{ label: 'Password', value: 'okta_password' }]);
    assert.equal(transaction.nextStep.canSkip, undefined);
    transaction = await auth.idx.proceed({ authenticator: 'okta_password' });
    assert.equal(transaction.nextStep.name, 'enroll-authenticator');
    await succeeded(auth, await auth.idx.proceed({ password }), owner);
  });

  test('AUTH_A63 a second factor if possible is asked only of those who have one', { skip: version < 8 && 'it has no acrValues' }, async () => {
    const acrValues = 'urn:okta:loa:2fa:any:ifpossible';
    const one = await account();
    let auth = connect({ acrValues });
    await auth.idx.authenticate({ username: one.email });
    let transaction = await auth.idx.proceed({ verificationCode: (await mail(one.engine, one.email, one.message)).code });
    assert.equal((await succeeded(auth, transaction, one)).acr, acrValues);

    const two = await withPassword();
    auth = connect({ acrValues });
    await auth.idx.authenticate({ username: two.email });
    transaction = await auth.idx.proceed({ verificationCode: (await mail(two.engine, two.email, two.message)).code });
    assert.equal(transaction.nextStep.name, 'select-authenticator-authenticate');
    assert.deepEqual(listed(transaction.nextStep), [{ label: 'Password', value: 'okta_password' }]);
    await auth.idx.proceed({ authenticator: 'okta_password' });
    assert.equal((await succeeded(auth, await auth.idx.proceed({ password }), two)).acr, acrValues);
  });

  test('IDX_C56 AUTH_12_1 two factors asked for by the client are enrolled where one is missing', { skip: version < 8 && 'it has no acrValues' }, async () => {
    const owner = await account();
    const auth = connect({ acrValues: 'urn:okta:loa:2fa:any' });
    await auth.idx.authenticate({ username: owner.email });
    let transaction = await auth.idx.proceed({ verificationCode: (await mail(owner.engine, owner.email, owner.message)).code });
    assert.equal(transaction.nextStep.name, 'select-authenticator-enroll');
    assert.equal(transaction.nextStep.canSkip, undefined);
    await auth.idx.proceed({ authenticator: 'okta_password' });
    transaction = await auth.idx.proceed({ password });
    assert.equal((await succeeded(auth, transaction, owner)).acr, 'urn:okta:loa:2fa:any');
  });

  test('IDX_C71 cancel between two factors forgets the first', async () => {
    const engine = engines.twoFactors;
    const owner = await withPassword({ engine });
    const auth = connect({ engine });
    const transaction = await auth.idx.authenticate({ username: owner.email, password });
    assert.equal((await auth.idx.cancel()).status, 'CANCELED');
    const after = await connect({ engine }).idx.proceed({ stateHandle: transaction.context.stateHandle });
    assert.equal(after.nextStep.name, 'identify');
  });
}
