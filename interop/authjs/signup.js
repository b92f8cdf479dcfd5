// Sign-up with an email address only: the guide's six steps.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engines, web, spa, address, mail, mails } from './engine.js';
import { johnDoe, optionalAuthenticators, keys, pick, shapeOf, succeeded } from './client.js';

const emailStep = {
  status: 'PENDING',
  nextStep: {
    name: 'enroll-authenticator',
    type: 'email',
    authenticator: { type: 'email', key: 'okta_email', displayName: 'Email' },
  },
};

export function signUpSuite({ connect, signUp, prove, account, listed }) {
  for (const app of [web, spa]) {
    test(`IDX_C35 IDX_C39 IDX_C40 AUTH_A79 the guide's six steps, ${app.name}`, async () => {
      const email = address();
      const auth = connect({ app });

      let transaction = await auth.idx.register(johnDoe(email));
      assert.deepEqual(pick(transaction, emailStep), emailStep);
      assert.deepEqual(transaction.nextStep.inputs,
        [{ name: 'verificationCode', label: 'Enter code', type: 'string', required: true }]);
      assert.equal(transaction.nextStep.canResend, true);
      assert.equal(transaction.nextStep.canSkip, undefined);
      assert.deepEqual(keys(transaction), []);

      const { code } = await mail(engines.protect, email);
      assert.match(code, /^[0-9]{6}$/);
      transaction = await auth.idx.proceed({ verificationCode: code });
      assert.equal(transaction.status, 'PENDING');
      assert.equal(transaction.nextStep.name, 'select-authenticator-enroll');
      assert.deepEqual(listed(transaction.nextStep), optionalAuthenticators);
      assert.equal(transaction.nextStep.canSkip, true);

      transaction = await auth.idx.proceed({ skip: true });
      const claims = await succeeded(auth, transaction, { email });
      assert.equal(claims.given_name, 'John');
      assert.equal(claims.family_name, 'Doe');
      assert.equal(auth.idx.canProceed(), false, 'the transaction is over for the client');
    });
  }

  test('IDX_C34 sign-up is among the features of a fresh transaction', async () => {
    const transaction = await connect().idx.startTransaction();
    assert.equal(transaction.status, 'PENDING');
    assert.deepEqual(transaction.enabledFeatures, ['recover-password', 'enroll-profile']);
    assert.deepEqual(transaction.availableSteps.map((s) => s.name),
      ['identify', 'select-enroll-profile', 'currentAuthenticator-recover', 'cancel']);
  });

  test('IDX_C38 register() with nothing stops at the profile, and goes on from there', async () => {
    const auth = connect();
    let transaction = await auth.idx.register();
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.nextStep.name, 'enroll-profile');
    assert.deepEqual(transaction.nextStep.inputs.map(({ name, label, required }) => ({ name, label, required })), [
      { name: 'firstName', label: 'First name', required: true },
      { name: 'lastName', label: 'Last name', required: true },
      { name: 'email', label: 'Email', required: true },
    ]);
    transaction = await auth.idx.proceed(johnDoe(address()));
    assert.deepEqual(pick(transaction, emailStep), emailStep);
  });

  test('IDX_C37 registration sends one mail, whoever asks for the state again', async () => {
    const { engine, tab, email } = await signUp();
    const again = connect({ tab, saveLastResponse: false });
    for (let i = 0; i < 3; i++) {
      const transaction = await again.idx.proceed();
      assert.equal(transaction.nextStep.name, 'enroll-authenticator');
    }
    assert.equal((await mails(engine, email)).length, 1);
  });

  for (const email of ['nobody', 'john@', '@example.com', 'john doe@example.com', 'john@example..com', 'john@doe@example.com']) {
    test(`IDX_C47 the address ${email} is refused, and nothing is lost`, async () => {
      const auth = connect();
      let transaction = await auth.idx.register(johnDoe(email));
      assert.equal(transaction.status, 'PENDING');
      assert.equal(transaction.requestDidSucceed, false);
      assert.equal(transaction.nextStep.name, 'enroll-profile');
      const input = transaction.nextStep.inputs.find((i) => i.name === 'email');
      assert.deepEqual(input.messages.value.map((m) => m.i18n.key),
        ['registration.error.invalidLoginEmail', 'registration.error.doesNotMatchPattern']);
      assert.ok(keys(transaction).includes('registration.error.invalidLoginEmail'));

      transaction = await auth.idx.proceed(johnDoe(address()));
      assert.deepEqual(pick(transaction, emailStep), emailStep);
    });
  }

  test('blank and over-long names are refused on their field', async () => {
    const auth = connect();
    const field = (transaction, name) =>
      transaction.nextStep.inputs.find((i) => i.name === name).messages?.value.map((m) => m.i18n.key);

    let transaction = await auth.idx.register({ ...johnDoe(address()), firstName: ' ' });
    assert.deepEqual(field(transaction, 'firstName'), ['model.validation.field.blank']);
    assert.equal(field(transaction, 'lastName'), undefined);

    transaction = await auth.idx.proceed({ ...johnDoe(address()), lastName: 'D'.repeat(51) });
    assert.deepEqual(field(transaction, 'lastName'), ['registration.error.doesNotMatchPattern']);

    transaction = await auth.idx.proceed(johnDoe(address()));
    assert.deepEqual(pick(transaction, emailStep), emailStep);
  });

  test('a known address looks the same at sign-up and becomes a sign-in (protect)', async () => {
    const owner = await account();
    const typed = (email) => ({ firstName: 'Mallory', lastName: 'Moe', email });
    const stranger = { email: address(), auth: connect() };
    stranger.transaction = await stranger.auth.idx.register(typed(stranger.email));

    const auth = connect();
    let transaction = await auth.idx.register(typed(owner.email));
    assert.deepEqual(shapeOf(transaction, owner.email), shapeOf(stranger.transaction, stranger.email));

    const { code } = await mail(owner.engine, owner.email, owner.message);
    assert.match(code, /^[0-9]{6}$/);
    transaction = await auth.idx.proceed({ verificationCode: code });
    const claims = await succeeded(auth, transaction, owner);
    assert.equal(claims.sub, owner.tokens.idToken.claims.sub, 'one address, one user');
    assert.equal(claims.given_name, 'John', 'what was typed at the second sign-up changes nothing');
  });

  test('IDX_C46 a known address is named at sign-up (disclose)', async () => {
    const engine = engines.disclose;
    const owner = await account({ engine });
    const auth = connect({ engine });
    let transaction = await auth.idx.register(johnDoe(owner.email));
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.nextStep.name, 'enroll-profile');
    assert.deepEqual(transaction.messages.map(({ message, i18n }) => ({ message, key: i18n.key })),
      [{ message: 'A user with this Email already exists', key: 'registration.error.notUniqueWithinOrg' }]);
    assert.equal((await mails(engine, owner.email)).length, 1);

    transaction = await auth.idx.proceed(johnDoe(address()));
    assert.deepEqual(pick(transaction, emailStep), emailStep);
  });

  test('IDX_C46 an address that was never proven is free (disclose)', async () => {
    const engine = engines.disclose;
    const { email } = await signUp({ engine });
    const auth = connect({ engine });
    const transaction = await auth.idx.register(johnDoe(email));
    assert.deepEqual(pick(transaction, emailStep), emailStep);
  });

  test('IDX_C71 IDX_C81 cancel ends the sign-up and kills its code', async () => {
    const person = await signUp();
    const kept = connect({ tab: person.tab.copy() });

    const canceled = await person.auth.idx.cancel();
    assert.equal(canceled.status, 'CANCELED');
    assert.equal(person.auth.idx.canProceed(), false);
    await assert.rejects(person.auth.idx.proceed({ verificationCode: person.message.code }), /saved transaction could not be loaded/);

    const refused = await kept.idx.proceed({ verificationCode: person.message.code });
    assert.notEqual(refused.status, 'SUCCESS');
    assert.equal(refused.requestDidSucceed, false);
    assert.deepEqual(keys(refused), ['errors.E0000079']);
    assert.notEqual(refused.nextStep?.name, 'select-authenticator-enroll');

    const again = await signUp({ tab: person.tab, email: person.email });
    const { code } = await mail(again.engine, again.email, person.message);
    const transaction = await again.auth.idx.proceed({ verificationCode: code });
    assert.equal(transaction.nextStep.name, 'select-authenticator-enroll');
  });

  test('a sign-up is resumed by another instance of the client', async () => {
    const { email, tab, message } = await signUp();
    let transaction = await connect({ tab }).idx.proceed({ verificationCode: message.code });
    assert.equal(transaction.nextStep.name, 'select-authenticator-enroll');
    const later = connect({ tab, saveLastResponse: false });
    transaction = await later.idx.proceed();
    assert.deepEqual(listed(transaction.nextStep), optionalAuthenticators);
    transaction = await later.idx.proceed({ skip: true });
    await succeeded(later, transaction, { email });
  });

  test('sign-up through the org authorization server', async () => {
    const email = address();
    const auth = connect({ issuer: engines.protect });
    await auth.idx.register(johnDoe(email));
    await auth.idx.proceed({ verificationCode: (await mail(engines.protect, email)).code });
    const transaction = await auth.idx.proceed({ skip: true });
    const claims = await succeeded(auth, transaction, { email });
    assert.equal(claims.iss, engines.protect);
  });

  test('the account and the proof stay when the person goes no further', async () => {
    const { email, message } = await prove();
    const auth = connect();
    let transaction = await auth.idx.authenticate({ username: email });
    assert.equal(transaction.nextStep.name, 'challenge-authenticator');
    const { code } = await mail(engines.protect, email, message);
    transaction = await auth.idx.proceed({ verificationCode: code });
    await succeeded(auth, transaction, { email });
  });
}
