// The phone: added at sign-up by a text, asked for beside the password.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engines, mail, mails, number, wrong } from './engine.js';
import { keys, password, succeeded } from './client.js';

const engine = engines.phone;

export function phoneSuite({ connect, prove }) {
  // withPhone makes a person who has a phone and a password.
  async function withPhone() {
    const person = await prove({ engine });
    const phone = number();
    let transaction = await person.auth.idx.proceed({ authenticator: 'phone_number', methodType: 'sms', phoneNumber: phone });
    assert.equal(transaction.nextStep.name, 'enroll-authenticator', JSON.stringify(transaction.messages));
    transaction = await person.auth.idx.proceed({ verificationCode: (await mail(engine, phone)).code });
    transaction = await person.auth.idx.proceed({ authenticator: 'okta_password' });
    transaction = await person.auth.idx.proceed({ password });
    await succeeded(person.auth, transaction, person);
    return { ...person, phone };
  }

  test('IDX_A09 IDX_A11 IDX_A12 IDX_A13 IDX_A17 a phone at sign-up, asked for step by step', async () => {
    const { auth } = await prove({ engine });
    const phone = number();
    let transaction = await auth.idx.proceed({ authenticator: 'phone_number' });
    assert.equal(transaction.nextStep.name, 'authenticator-enrollment-data');
    assert.equal(transaction.nextStep.type, 'phone');
    assert.equal(transaction.nextStep.authenticator.key, 'phone_number');
    assert.deepEqual(transaction.nextStep.inputs.map(({ name, type, required }) => ({ name, type, required })), [
      { name: 'methodType', type: 'string', required: true },
      { name: 'phoneNumber', type: 'string', required: true },
    ]);
    assert.deepEqual(transaction.nextStep.inputs[0].options, [{ label: 'SMS', value: 'sms' }, { label: 'Voice call', value: 'voice' }]);

    transaction = await auth.idx.proceed({ methodType: 'sms', phoneNumber: 'incorrectnumber' });
    assert.equal(transaction.status, 'PENDING');
    assert.deepEqual(keys(transaction), ['api.factors.error.sms.invalid_phone']);
    assert.equal(transaction.messages[0].message, 'Invalid Phone Number.');
    assert.equal(transaction.nextStep.name, 'authenticator-enrollment-data');

    transaction = await auth.idx.proceed({ methodType: 'sms', phoneNumber: phone });
    assert.equal(transaction.nextStep.name, 'enroll-authenticator', JSON.stringify(transaction.messages));
    assert.equal(transaction.nextStep.type, 'phone');
    assert.equal(transaction.nextStep.canResend, true);
    assert.deepEqual(transaction.nextStep.inputs.map(({ name, label }) => ({ name, label })), [{ name: 'verificationCode', label: 'Enter code' }]);
    const { text, code } = await mail(engine, phone);
    assert.equal(/Your verification code is (\d+)/.exec(text)[1], code, 'A-12');

    transaction = await auth.idx.proceed({ verificationCode: wrong(code) });
    assert.equal(transaction.messages[0].message, 'Invalid code. Try again.');
    transaction = await auth.idx.proceed({ verificationCode: code });
    assert.notEqual(transaction.nextStep.authenticator?.key, 'phone_number', JSON.stringify(transaction.messages));
  });

  for (const methodType of ['sms', 'voice']) {
    test(`IDX_A13 IDX_A15 IDX_A16 IDX_A17 the phone beside the password, by ${methodType}`, async () => {
      const owner = await withPhone();
      const before = await mails(engine, owner.phone);
      const auth = connect({ engine });
      let transaction = await auth.idx.authenticate({ username: owner.email, password });
      assert.equal(transaction.nextStep.name, 'authenticator-verification-data', JSON.stringify(transaction.nextStep));
      assert.equal(transaction.nextStep.type, 'phone');
      assert.deepEqual(transaction.nextStep.inputs.map(({ name }) => name), ['methodType']);
      assert.match(transaction.nextStep.authenticatorEnrollments?.[0]?.profile?.phoneNumber
        ?? transaction.nextStep.authenticator.profile.phoneNumber, /^\+1 XXX-XXX-\d{4}$/);
      assert.equal((await mails(engine, owner.phone)).length, before.length, 'nothing is sent before the method is chosen');

      transaction = await auth.idx.proceed({ methodType });
      assert.equal(transaction.nextStep.name, 'challenge-authenticator', JSON.stringify(transaction.messages));
      assert.equal(transaction.nextStep.canResend, true);
      const { code } = await mail(engine, owner.phone, before[0]);
      transaction = await auth.idx.proceed({ verificationCode: wrong(code) });
      assert.equal(transaction.messages[0].message, 'Invalid code. Try again.');
      transaction = await auth.idx.proceed({ verificationCode: code });
      const claims = await succeeded(auth, transaction, owner);
      assert.deepEqual([...claims.amr].sort(), ['mfa', 'pwd', methodType === 'sms' ? 'sms' : 'tel']);
    });
  }
}
