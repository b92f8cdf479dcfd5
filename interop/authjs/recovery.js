// A forgotten password, and one whose pause is ended.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engines, web, spa, address, mail, mails, wrong } from './engine.js';
import { freshPassword, keys, password, shapeOf, succeeded } from './client.js';

const email = [{ label: 'Email', value: 'okta_email' }];

export function recoverySuite({ connect, account, withPassword, listed }) {
  // recovered checks that one password is gone and another one is good.
  async function recovered({ engine, ...owner }) {
    const old = await connect({ engine }).idx.authenticate({ username: owner.email, password });
    assert.deepEqual(keys(old), [engine === engines.passwordFirst ? 'errors.E0000004' : 'incorrectPassword']);
    const auth = connect({ engine });
    const transaction = await auth.idx.authenticate({ username: owner.email, password: freshPassword });
    assert.equal(transaction.status, 'SUCCESS', JSON.stringify(transaction.messages));
  }

  // code waits for one that is newer than that of the sign-up, whatever notices come with it.
  async function code({ engine, ...owner }) {
    for (let i = 0; i < 100; i++) {
      const found = (await mails(engine, owner.email)).find((m) => m.code && m.id !== owner.message.id);
      if (found) return found.code;
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`no code to ${owner.email} in five seconds`);
  }

  for (const [where, engine] of [
    ['identifier first', engines.protect],
    ['identifier first, the password required', engines.requirePassword],
    ['password first', engines.passwordFirst],
  ]) {
    for (const app of [web, spa]) {
      test(`IDX_C67 IDX_C68 a forgotten password, ${where}, ${app.name}`, async () => {
        const owner = await withPassword({ engine, app });
        const sent = (await mails(engine, owner.email)).length;
        const auth = connect({ engine, app });
        let transaction = await auth.idx.recoverPassword();
        assert.equal(transaction.nextStep.name, 'identify-recovery');
        assert.deepEqual(transaction.nextStep.inputs, [{ name: 'username', label: 'Email or Username', required: true }]);

        transaction = await auth.idx.proceed({ username: owner.email });
        assert.equal(transaction.status, 'PENDING');
        assert.equal(transaction.nextStep.name, 'select-authenticator-authenticate');
        assert.deepEqual(listed(transaction.nextStep), email);
        assert.ok(transaction.rawIdxState.currentAuthenticatorEnrollment.value.recover);
        assert.equal((await mails(engine, owner.email)).length, sent, 'nothing is sent before the choice');

        transaction = await auth.idx.proceed({ authenticator: 'okta_email' });
        assert.equal(transaction.nextStep.name, 'challenge-authenticator');
        assert.equal(transaction.nextStep.type, 'email');
        assert.equal(transaction.rawIdxState.recoveryAuthenticator.value.key, 'okta_password');
        const { code } = await mail(engine, owner.email, owner.message);
        transaction = await auth.idx.proceed({ verificationCode: wrong(code) });
        assert.deepEqual(keys(transaction), ['api.authn.error.PASSCODE_INVALID']);
        transaction = await auth.idx.proceed({ verificationCode: code });

        assert.equal(transaction.nextStep.name, 'reset-authenticator');
        assert.equal(transaction.nextStep.type, 'password');
        const [input] = transaction.nextStep.inputs;
        assert.deepEqual({ name: input.name, label: input.label, secret: input.secret, required: input.required },
          { name: 'password', label: 'New password', secret: true, required: true });
        assert.equal(transaction.nextStep.authenticator.settings.complexity.minLength, 8);

        transaction = await auth.idx.proceed({ password: 'short' });
        assert.equal(transaction.status, 'PENDING');
        assert.equal(transaction.requestDidSucceed, false);
        assert.equal(transaction.nextStep.name, 'reset-authenticator');
        assert.deepEqual(keys(transaction), ['password.passwordRequirementsNotMet']);

        transaction = await auth.idx.proceed({ password: freshPassword });
        await succeeded(auth, transaction, owner);
        await recovered(owner);
      });
    }

    test(`IDX_C68 a forgotten password in one call, ${where}`, async () => {
      const owner = await withPassword({ engine });
      const auth = connect({ engine });
      let transaction = await auth.idx.recoverPassword({ username: owner.email, authenticators: ['okta_email'] });
      assert.equal(transaction.nextStep.name, 'challenge-authenticator', JSON.stringify(transaction.nextStep));
      assert.equal(transaction.nextStep.type, 'email');
      const { code } = await mail(engine, owner.email, owner.message);
      transaction = await auth.idx.recoverPassword({ verificationCode: code, password: freshPassword });
      await succeeded(auth, transaction, owner);
      await recovered(owner);
    });
  }

  test('UX_P7_1 a forgotten password that nobody needs is done without', async () => {
    const owner = await withPassword();
    const auth = connect();
    await auth.idx.recoverPassword({ username: owner.email, authenticator: 'okta_email' });
    const first = await mail(owner.engine, owner.email, owner.message);
    let transaction = await auth.idx.proceed({ verificationCode: first.code });
    assert.equal(transaction.nextStep.name, 'reset-authenticator');
    assert.equal(transaction.nextStep.canSkip, true);
    transaction = await auth.idx.proceed({ step: 'skip' });
    await succeeded(auth, transaction, owner);
    const old = await connect().idx.authenticate({ username: owner.email, password });
    assert.notEqual(old.status, 'SUCCESS');
  });

  test('a password that is required is not done without', async () => {
    const engine = engines.requirePassword;
    const owner = await withPassword({ engine });
    const auth = connect({ engine });
    await auth.idx.recoverPassword({ username: owner.email, authenticator: 'okta_email' });
    const { code } = await mail(engine, owner.email, owner.message);
    const transaction = await auth.idx.proceed({ verificationCode: code });
    assert.equal(transaction.nextStep.name, 'reset-authenticator');
    assert.equal(transaction.nextStep.canSkip, undefined);
  });

  test('who has no password recovers into their first one', async () => {
    const engine = engines.passwordFirst;
    const owner = await account({ engine });
    const auth = connect({ engine });
    await auth.idx.recoverPassword({ username: owner.email, authenticator: 'okta_email' });
    const { code } = await mail(engine, owner.email, owner.message);
    const transaction = await auth.idx.proceed({ verificationCode: code });
    assert.equal(transaction.nextStep.name, 'reset-authenticator');
    await succeeded(auth, await auth.idx.proceed({ password: freshPassword }), owner);
    const again = connect({ engine });
    await succeeded(again, await again.idx.authenticate({ username: owner.email, password: freshPassword }), owner);
  });

  for (const engine of [engines.protect, engines.passwordFirst]) {
    test(`E15 recovery of nobody looks like one of somebody, ${engine === engines.protect ? 'identifier' : 'password'} first`, async () => {
      const owner = await withPassword({ engine });
      const nobody = address();
      const walk = async (username) => {
        const auth = connect({ engine });
        const list = await auth.idx.recoverPassword({ username });
        const code = await auth.idx.proceed({ authenticator: 'okta_email' });
        const refused = await auth.idx.proceed({ verificationCode: '12345x' });
        return { auth, shapes: [list, code, refused].map((transaction) => shapeOf(transaction, username)) };
      };
      const known = await walk(owner.email);
      const unknown = await walk(nobody);
      const still = (shape) => JSON.parse(JSON.stringify(shape, (key, value) => (key === 'delivery' ? undefined : value)));
      assert.deepEqual(still(unknown.shapes), still(known.shapes));
      assert.ok(!(await mail(engine, nobody)).code);
    });
  }

  test('E15 recovery of nobody is named (disclose)', async () => {
    const engine = engines.disclose;
    const transaction = await connect({ engine }).idx.recoverPassword({ username: address() });
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.requestDidSucceed, false);
    assert.deepEqual(keys(transaction), ['idx.unknown.user']);
    assert.equal(transaction.nextStep.name, 'identify-recovery');
  });

  test('SEC_S59 two factors: the mailbox alone signs nobody in', async () => {
    const engine = engines.twoFactors;
    const owner = await withPassword({ engine });
    const auth = connect({ engine });
    await auth.idx.recoverPassword({ username: owner.email, authenticator: 'okta_email' });
    const { code } = await mail(engine, owner.email, owner.message);
    let transaction = await auth.idx.proceed({ verificationCode: code });
    assert.equal(transaction.nextStep.name, 'reset-authenticator');
    transaction = await auth.idx.proceed({ password: freshPassword });
    await succeeded(auth, transaction, owner);
  });

  test('IDX_C71 a recovery that is cancelled changes nothing', async () => {
    const engine = engines.passwordFirst;
    const owner = await withPassword({ engine });
    const auth = connect({ engine });
    await auth.idx.recoverPassword({ username: owner.email, authenticator: 'okta_email' });
    await auth.idx.proceed({ verificationCode: (await mail(engine, owner.email, owner.message)).code });
    assert.equal((await auth.idx.cancel()).status, 'CANCELED');
    const again = connect({ engine });
    await succeeded(again, await again.idx.authenticate({ username: owner.email, password }), owner);
  });

  test('SEC_S32 the refresh token of before a recovery is of no use', async (t) => {
    const engine = engines.passwordFirst;
    const owner = await withPassword({ engine, app: spa, scopes: ['openid', 'email', 'offline_access'] });
    owner.auth.tokenManager.setTokens(owner.tokens);
    t.after(() => owner.auth.tokenManager.clear());
    const auth = connect({ engine });
    await auth.idx.recoverPassword({ username: owner.email, authenticator: 'okta_email' });
    await auth.idx.proceed({ verificationCode: (await mail(engine, owner.email, owner.message)).code });
    await auth.idx.proceed({ password: freshPassword });
    await assert.rejects(owner.auth.token.renewTokens(), { errorCode: 'invalid_grant' });
  });

  test('AUTH_A51 unlock is among the features where a policy allows it', async () => {
    const open = await connect({ engine: engines.twoFactors }).idx.startTransaction();
    assert.deepEqual(open.enabledFeatures, ['recover-password', 'enroll-profile', 'unlock-account']);
    await assert.rejects(connect().idx.unlockAccount(), /Self Service Account Unlock is not supported/);
  });

  test('AUTH_A53 AUTH_8 two wrong passwords pause it, and the email ends the pause', async () => {
    const engine = engines.twoFactors;
    const owner = await withPassword({ engine });
    const paused = connect({ engine });
    await paused.idx.authenticate({ username: owner.email, authenticator: 'okta_password' });
    for (let i = 1; i <= 2; i++) {
      assert.deepEqual(keys(await paused.idx.proceed({ password: `${password}${i}` })), ['incorrectPassword']);
    }
    assert.deepEqual(keys(await paused.idx.proceed({ password })), ['incorrectPassword'], 'a pause looks like a wrong answer');

    const auth = connect({ engine });
    let transaction = await auth.idx.unlockAccount();
    assert.equal(transaction.nextStep.name, 'select-authenticator-unlock-account');
    assert.deepEqual(transaction.nextStep.inputs.map((i) => i.name), ['username', 'authenticator']);
    transaction = await auth.idx.proceed({ username: owner.email, authenticator: 'okta_email' });
    assert.equal(transaction.nextStep.name, 'challenge-authenticator', JSON.stringify(transaction.messages));
    assert.equal(transaction.nextStep.type, 'email');
    transaction = await auth.idx.proceed({ verificationCode: await code(owner) });
    assert.equal(transaction.status, 'PENDING');
    assert.deepEqual(transaction.messages.map(({ message, i18n }) => ({ message, key: i18n.key })), [{
      message: 'Account successfully unlocked! Verify your account with a security method to continue.',
      key: 'oie.selfservice.unlock_user.landing.to.app.success.message',
    }]);
    if (transaction.nextStep.name === 'select-authenticator-authenticate') {
      transaction = await auth.idx.proceed({ authenticator: 'okta_password' });
    }
    assert.equal(transaction.nextStep.type, 'password');
    await succeeded(auth, await auth.idx.proceed({ password }), owner);
  });

  test('AUTH_A52 unlock of nobody looks like one of somebody', async () => {
    const engine = engines.twoFactors;
    const owner = await withPassword({ engine });
    const walk = async (username) => {
      const auth = connect({ engine });
      const list = await auth.idx.unlockAccount();
      const code = await auth.idx.proceed({ username, authenticator: 'okta_email' });
      assert.equal(code.nextStep.name, 'challenge-authenticator');
      const refused = await auth.idx.proceed({ verificationCode: '12345x' });
      const shapes = [list, code, refused].map((transaction) => shapeOf(transaction, username));
      return JSON.parse(JSON.stringify(shapes, (key, value) => (key === 'delivery' ? undefined : value)));
    };
    assert.deepEqual(await walk(address()), await walk(owner.email));
  });
}
