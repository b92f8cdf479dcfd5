// okta-auth-js 8.x in its own mode, where the app names every step.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { OktaAuth } from '@okta/okta-auth-js';
import { engines, web, spa, address, mail, mails, wrong } from '../authjs/engine.js';
import { suiteOf, freshPassword, johnDoe, keys, optionalAuthenticators, password, succeeded } from '../authjs/client.js';

const { connect } = suiteOf({ OktaAuth });
// People are made in the other mode.
const { withPassword } = suiteOf({ OktaAuth, options: { idx: { enableLegacyMode: true } } });

describe('okta-auth-js 8: named steps', () => {
  for (const app of [web, spa]) {
    test(`IDX_C44 the guide's six steps, ${app.name}`, async () => {
      const email = address();
      const auth = connect({ app });

      let transaction = await auth.idx.start();
      assert.deepEqual(transaction.enabledFeatures, ['recover-password', 'enroll-profile']);
      transaction = await auth.idx.proceed({ step: 'select-enroll-profile' });
      assert.equal(transaction.nextStep.name, 'enroll-profile');
      const [profile] = transaction.nextStep.inputs;
      assert.equal(profile.name, 'userProfile');
      assert.deepEqual(profile.value.map((f) => f.name), ['firstName', 'lastName', 'email']);

      transaction = await auth.idx.proceed({ step: 'enroll-profile', userProfile: johnDoe(email) });
      assert.equal(transaction.status, 'PENDING');
      assert.equal(transaction.nextStep.name, 'enroll-authenticator');

      const { code } = await mail(engines.protect, email);
      transaction = await auth.idx.proceed({ step: 'enroll-authenticator', verificationCode: wrong(code) });
      assert.deepEqual(keys(transaction), ['api.authn.error.PASSCODE_INVALID']);
      transaction = await auth.idx.proceed({ step: 'enroll-authenticator', verificationCode: code });
      assert.equal(transaction.nextStep.name, 'select-authenticator-enroll');
      assert.equal(transaction.nextStep.canSkip, true);
      const { options } = transaction.nextStep.inputs.find((i) => i.name === 'authenticator');
      assert.deepEqual(options.map(({ label, relatesTo }) => ({ label, value: relatesTo.key })), optionalAuthenticators);

      transaction = await auth.idx.proceed({ step: 'skip' });
      await succeeded(auth, transaction, { email });
    });
  }

  test('IDX_C45 a profile that never arrives is refused on its fields', async () => {
    const auth = connect();
    await auth.idx.start();
    await auth.idx.proceed({ step: 'select-enroll-profile' });
    const transaction = await auth.idx.proceed({ step: 'enroll-profile', ...johnDoe(address()) });
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.requestDidSucceed, false);
    assert.deepEqual([...new Set(keys(transaction))], ['model.validation.field.blank']);
  });

  test('resend, poll and cancel by the name of their action', async () => {
    const email = address();
    const auth = connect();
    await auth.idx.start();
    await auth.idx.proceed({ step: 'select-enroll-profile' });
    let transaction = await auth.idx.proceed({ step: 'enroll-profile', userProfile: johnDoe(email) });
    const actions = transaction.availableSteps.map((s) => s.name).filter((n) => n.startsWith('currentAuthenticator'));
    assert.deepEqual(actions.sort(), ['currentAuthenticator-poll', 'currentAuthenticator-resend']);

    const first = await mail(engines.protect, email);
    transaction = await auth.idx.proceed({ actions: ['currentAuthenticator-resend'] });
    assert.equal(transaction.nextStep.name, 'enroll-authenticator');
    await mail(engines.protect, email, first);
    transaction = await auth.idx.proceed({ actions: ['currentAuthenticator-poll'] });
    assert.equal(transaction.nextStep.name, 'enroll-authenticator');
    transaction = await auth.idx.proceed({ actions: ['cancel'] });
    assert.equal(transaction.status, 'CANCELED');
  });

  const choices = ({ nextStep }) => nextStep.inputs.find((i) => i.name === 'authenticator').options
    .map(({ relatesTo }) => relatesTo.key);

  test('a password by named steps', async () => {
    const email = address();
    const auth = connect();
    await auth.idx.start();
    await auth.idx.proceed({ step: 'select-enroll-profile' });
    await auth.idx.proceed({ step: 'enroll-profile', userProfile: johnDoe(email) });
    const { code } = await mail(engines.protect, email);
    await auth.idx.proceed({ step: 'enroll-authenticator', verificationCode: code });
    let transaction = await auth.idx.proceed({ step: 'select-authenticator-enroll', authenticator: 'okta_password' });
    assert.equal(transaction.nextStep.name, 'enroll-authenticator');
    transaction = await auth.idx.proceed({ step: 'enroll-authenticator', password: 'correct-horse-battery-9' });
    assert.deepEqual(choices(transaction), ['okta_verify']);
    transaction = await auth.idx.proceed({ step: 'skip' });
    await succeeded(auth, transaction, { email });
  });

  test('IDX_C53 IDX_C54 user name and password by named steps', async () => {
    const engine = engines.passwordFirst;
    const owner = await withPassword({ engine });
    const auth = connect({ engine });
    let transaction = await auth.idx.start();
    assert.deepEqual(transaction.enabledFeatures, ['recover-password', 'enroll-profile']);
    transaction = await auth.idx.proceed({ step: 'identify', username: owner.email, password: 'not-the-password' });
    assert.deepEqual(keys(transaction), ['errors.E0000004']);
    assert.equal(transaction.nextStep.name, 'identify');
    transaction = await auth.idx.proceed({ step: 'identify', username: owner.email, password });
    await succeeded(auth, transaction, owner);
  });

  test('IDX_C55 two factors by named steps', async () => {
    const engine = engines.twoFactors;
    const owner = await withPassword({ engine });
    const auth = connect({ engine });
    await auth.idx.start();
    let transaction = await auth.idx.proceed({ step: 'identify', username: owner.email });
    assert.deepEqual(choices(transaction), ['okta_email', 'okta_password']);
    await auth.idx.proceed({ step: 'select-authenticator-authenticate', authenticator: 'okta_password' });
    transaction = await auth.idx.proceed({ step: 'challenge-authenticator', password });
    assert.equal(transaction.nextStep.name, 'select-authenticator-authenticate');
    assert.deepEqual(choices(transaction), ['okta_email']);
    await auth.idx.proceed({ step: 'select-authenticator-authenticate', authenticator: 'okta_email' });
    const { code } = await mail(engine, owner.email, owner.message);
    transaction = await auth.idx.proceed({ step: 'challenge-authenticator', verificationCode: code });
    await succeeded(auth, transaction, owner);
  });

  for (const [where, engine] of Object.entries({ optional: engines.protect, required: engines.requirePassword, first: engines.passwordFirst })) {
    test(`IDX_C67 IDX_C68 recovery by named steps, the password ${where}`, async () => {
      const owner = await withPassword({ engine });
      const auth = connect({ engine });
      await auth.idx.start();
      let transaction = await auth.idx.proceed({ actions: ['currentAuthenticator-recover'] });
      assert.equal(transaction.nextStep.name, 'identify-recovery');
      transaction = await auth.idx.proceed({ step: 'identify-recovery', identifier: owner.email });
      for (let i = 0; i < 3; i++) {
        assert.equal(transaction.nextStep.name, 'select-authenticator-authenticate');
        assert.deepEqual(choices(transaction), ['okta_email']);
        transaction = await auth.idx.proceed({ actions: ['currentAuthenticatorEnrollment-recover'] });
      }
      await finish({ engine, auth, owner, after: owner.message });
    });
  }

  for (const [need, engine] of Object.entries({ optional: engines.protect, required: engines.requirePassword })) {
    test(`IDX_C67 IDX_C68 a password forgotten at its challenge, ${need}`, async () => {
      const owner = await withPassword({ engine });
      const auth = connect({ engine });
      await auth.idx.start();
      await auth.idx.proceed({ step: 'identify', username: owner.email });
      let transaction = await auth.idx.proceed({ step: 'select-authenticator-authenticate', authenticator: 'okta_password' });
      assert.equal(transaction.nextStep.name, 'challenge-authenticator');
      assert.deepEqual(transaction.enabledFeatures, []);
      transaction = await auth.idx.proceed({ step: 'challenge-authenticator', password: 'not-the-password' });
      assert.deepEqual(keys(transaction), ['incorrectPassword']);
      const [after] = await mails(engine, owner.email);
      transaction = await auth.idx.proceed({ actions: ['currentAuthenticatorEnrollment-recover'] });
      assert.equal(transaction.nextStep.name, 'select-authenticator-authenticate');
      assert.deepEqual(choices(transaction), ['okta_email']);
      assert.equal(transaction.rawIdxState.recoveryAuthenticator.value.key, 'okta_password');
      await finish({ engine, auth, owner, after });
    });
  }

  // finish goes from the list of a recovery to its end.
  async function finish({ engine, auth, owner, after }) {
    let transaction = await auth.idx.proceed({ step: 'select-authenticator-authenticate', authenticator: 'okta_email' });
    assert.equal(transaction.nextStep.name, 'challenge-authenticator');
    const { code } = await mail(engine, owner.email, after);
    transaction = await auth.idx.proceed({ step: 'challenge-authenticator', verificationCode: code });
    assert.equal(transaction.nextStep.name, 'reset-authenticator');
    transaction = await auth.idx.proceed({ step: 'reset-authenticator', credentials: { passcode: 'short' } });
    assert.deepEqual(keys(transaction), ['password.passwordRequirementsNotMet']);
    transaction = await auth.idx.proceed({ step: 'reset-authenticator', credentials: { passcode: freshPassword } });
    await succeeded(auth, transaction, owner);
  }

  test('UX_P7_1 a recovery that goes on without a password, by named steps', async () => {
    const owner = await withPassword();
    const auth = connect();
    await auth.idx.start();
    await auth.idx.proceed({ actions: ['currentAuthenticator-recover'] });
    await auth.idx.proceed({ step: 'identify-recovery', identifier: owner.email });
    await auth.idx.proceed({ step: 'select-authenticator-authenticate', authenticator: 'okta_email' });
    const { code } = await mail(owner.engine, owner.email, owner.message);
    let transaction = await auth.idx.proceed({ step: 'challenge-authenticator', verificationCode: code });
    assert.equal(transaction.nextStep.canSkip, true);
    transaction = await auth.idx.proceed({ step: 'skip' });
    await succeeded(auth, transaction, owner);
  });

  test('AUTH_A53 unlock by named steps', async () => {
    const engine = engines.twoFactors;
    const owner = await withPassword({ engine });
    const auth = connect({ engine });
    await auth.idx.start();
    let transaction = await auth.idx.proceed({ step: 'unlock-account' });
    assert.equal(transaction.nextStep.name, 'select-authenticator-unlock-account');
    const { options } = transaction.rawIdxState.remediation.value[0].value.find((f) => f.name === 'authenticator');
    const { value: id } = options[0].value.form.value.find((f) => f.name === 'id');
    transaction = await auth.idx.proceed({
      step: 'select-authenticator-unlock-account', identifier: owner.email, authenticator: { id },
    });
    assert.equal(transaction.nextStep.name, 'challenge-authenticator', JSON.stringify(transaction.messages));
    const { code } = await mail(engine, owner.email, owner.message);
    transaction = await auth.idx.proceed({ step: 'challenge-authenticator', verificationCode: code });
    assert.deepEqual(keys(transaction), ['oie.selfservice.unlock_user.landing.to.app.success.message']);
  });

  test('AUTH_A74 UX_P7_6 a department asked for at sign-in', async () => {
    const engine = engines.profiling;
    const owner = await withPassword({ engine }); // whoever signs up is asked at the end of it, too
    const auth = connect({ engine });
    await auth.idx.start();
    await auth.idx.proceed({ step: 'identify', username: owner.email });
    const { code } = await mail(engine, owner.email, owner.message);
    let transaction = await auth.idx.proceed({ step: 'challenge-authenticator', verificationCode: code });
    assert.equal(transaction.nextStep.name, 'profile-update', JSON.stringify(transaction.nextStep));
    assert.equal(transaction.nextStep.canSkip, true);
    transaction = await auth.idx.proceed({ step: 'profile-update', userProfile: { department: 'Stiles' } });
    await succeeded(auth, transaction, owner);

    const again = connect({ engine });
    await again.idx.start();
    const [after] = await mails(engine, owner.email);
    await again.idx.proceed({ step: 'identify', username: owner.email });
    const second = await mail(engine, owner.email, after);
    transaction = await again.idx.proceed({ step: 'challenge-authenticator', verificationCode: second.code });
    await succeeded(again, transaction, owner);
  });
});
