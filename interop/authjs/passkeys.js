// Passkeys and security keys, by the client's own helpers.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engines, web, spa, mail } from './engine.js';
import { keys, succeeded } from './client.js';
import { Key } from './key.js';

const engine = engines.passkeys;
const option = { label: 'Security Key or Biometric', value: 'webauthn' };

export function passkeySuite({ connect, prove, listed, webauthn }) {
  const created = (key, { authenticator, authenticatorEnrollments }) => webauthn.getAttestation(key.create(
    webauthn.buildCredentialCreationOptions(authenticator.contextualData.activationData, authenticatorEnrollments)));
  const got = (key, { authenticator, authenticatorEnrollments }) => webauthn.getAssertion(key.get(
    webauthn.buildCredentialRequestOptions(authenticator.contextualData.challengeData, authenticatorEnrollments)));

  // withKey makes a person who has set one up.
  async function withKey(app) {
    const person = await prove({ engine, app });
    assert.ok(listed(person.transaction.nextStep).some((o) => o.label === option.label && o.value === option.value));
    const key = new Key(new URL(app.redirectUri).origin);
    let transaction = await person.auth.idx.proceed({ authenticator: 'webauthn' });
    assert.equal(transaction.nextStep.name, 'enroll-authenticator');
    assert.equal(transaction.nextStep.type, 'security_key');
    assert.deepEqual(transaction.nextStep.inputs.filter((i) => i.required).map((i) => i.name), ['clientData', 'attestation']);
    assert.ok(transaction.nextStep.inputs.every((i) => i.visible === false));
    transaction = await person.auth.idx.proceed(created(key, transaction.nextStep));
    assert.ok(!keys(transaction).length, JSON.stringify(transaction.messages));
    transaction = await person.auth.idx.proceed({ skip: true });
    await succeeded(person.auth, transaction, person);
    return { ...person, key, tokens: transaction.tokens };
  }

  for (const app of [web, spa]) {
    test(`AUTH_A30 AUTH_A34 a key is set up, and signs in in place of the code, ${app.name}`, async () => {
      const owner = await withKey(app);
      const auth = connect({ engine, app });
      await auth.idx.authenticate({ username: owner.email });
      let transaction = await auth.idx.proceed({ authenticator: 'webauthn' });
      assert.equal(transaction.nextStep.name, 'challenge-authenticator');
      assert.equal(transaction.nextStep.type, 'security_key');
      assert.equal(transaction.nextStep.authenticator.contextualData.activationData, undefined);
      transaction = await auth.idx.proceed(got(owner.key, transaction.nextStep));
      const claims = await succeeded(auth, transaction, owner);
      assert.equal(claims.sub, owner.tokens.idToken.claims.sub);
      assert.deepEqual([...claims.amr].sort(), ['mfa', 'pop']);
    });
  }

  test('AUTH_A31 AUTH_A33 what is wrong is said, and the next question can be answered', async () => {
    const owner = await withKey(web);
    const auth = connect({ engine });
    await auth.idx.authenticate({ username: owner.email });
    let transaction = await auth.idx.proceed({ authenticator: 'webauthn' });
    const elsewhere = Object.assign(Object.create(Key.prototype), owner.key, { origin: 'https://evil.example' });
    transaction = await auth.idx.proceed(got(elsewhere, transaction.nextStep));
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.requestDidSucceed, false);
    assert.deepEqual(keys(transaction), ['authfactor.webauthn.error.assertion_validation_failure']);
    assert.equal(transaction.nextStep.name, 'challenge-authenticator');
    await succeeded(auth, await auth.idx.proceed(got(owner.key, transaction.nextStep)), owner);
  });

  test('AUTH_A37 the first page has the question for whoever is there, and the flow is as ever', async () => {
    const owner = await withKey(web);
    const auth = connect({ engine });
    let transaction = await auth.idx.startTransaction();
    for (const name of ['challenge-webauthn-autofillui-authenticator', 'launch-passkeys-authenticator']) {
      assert.ok(transaction.neededToProceed.some((r) => r.name === name), name);
    }
    assert.ok(transaction.context.webauthnAutofillUIChallenge.value.challengeData.challenge);
    transaction = await auth.idx.authenticate({ username: owner.email });
    assert.equal(transaction.nextStep.type, 'email');
    const { code } = await mail(engine, owner.email, owner.message);
    await succeeded(auth, await auth.idx.proceed({ verificationCode: code }), owner);
  });
}
