// okta-auth-js 8.x in its own mode, where the app names every step.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { OktaAuth } from '@okta/okta-auth-js';
import { engines, web, spa, address, mail, wrong } from '../authjs/engine.js';
import { suiteOf, johnDoe, keys, optionalAuthenticators, succeeded } from '../authjs/client.js';

const { connect } = suiteOf({ OktaAuth });

describe('okta-auth-js 8: named steps', () => {
  for (const app of [web, spa]) {
    test(`IDX_C44 the guide's six steps, ${app.name}`, async () => {
      const email = address();
      const auth = connect({ app });

      let transaction = await auth.idx.start();
      assert.deepEqual(transaction.enabledFeatures, ['enroll-profile']);
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
    await succeeded(auth, transaction, { email });
  });
});
