// A password instead of Skip, and a password that must be.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engines } from './engine.js';
import { keys, password as good, rest, succeeded } from './client.js';

export function passwordSuite({ prove, listed }) {
  // choose goes to the password's own step.
  async function choose({ auth }) {
    const transaction = await auth.idx.proceed({ authenticator: 'okta_password' });
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.nextStep.name, 'enroll-authenticator');
    assert.equal(transaction.nextStep.type, 'password');
    assert.equal(transaction.nextStep.authenticator.key, 'okta_password');
    const [input] = transaction.nextStep.inputs;
    assert.deepEqual({ name: input.name, secret: input.secret, required: input.required },
      { name: 'password', secret: true, required: true });
    return transaction;
  }

  test('IDX_C49 a password instead of Skip', async () => {
    const person = await prove();
    const chosen = await choose(person);
    const { complexity } = chosen.nextStep.authenticator.settings;
    assert.equal(complexity.minLength, 8);
    for (const rule of ['minLowerCase', 'minUpperCase', 'minNumber', 'minSymbol']) assert.equal(complexity[rule], 0, rule);
    const left = await person.auth.idx.proceed({ password: good });
    assert.deepEqual(listed(left.nextStep), [{ label: 'Okta Verify', value: 'okta_verify' }]);
    await succeeded(person.auth, await rest(person.auth, left), person);
  });

  test('after choosing a password one can still skip', async () => {
    const person = await prove();
    const chosen = await choose(person);
    assert.equal(chosen.nextStep.canSkip, true);
    await succeeded(person.auth, await person.auth.idx.proceed({ skip: true }), person);
  });

  test('IDX_C50 a weak password is refused with its requirements, a good one then works', async () => {
    const person = await prove();
    await choose(person);
    let transaction = await person.auth.idx.proceed({ password: 'short' });
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.requestDidSucceed, false);
    assert.equal(transaction.nextStep.name, 'enroll-authenticator');
    assert.equal(transaction.nextStep.type, 'password');
    assert.deepEqual(keys(transaction), ['password.passwordRequirementsNotMet']);
    assert.match(transaction.messages[0].message, /^Password requirements were not met\. Password requirements: .*8 characters/);

    transaction = await person.auth.idx.proceed({ password: 'password1' });
    assert.deepEqual(keys(transaction), ['password.common']);

    transaction = await person.auth.idx.proceed({ password: good });
    await succeeded(person.auth, await rest(person.auth, transaction), person);
  });

  test('IDX_C41 a required password has no Skip', async () => {
    const person = await prove({ engine: engines.requirePassword });
    assert.notEqual(person.transaction.nextStep.canSkip, true);
    assert.deepEqual(listed(person.transaction.nextStep), [{ label: 'Password', value: 'okta_password' }]);

    const ignored = await person.auth.idx.proceed({ skip: true });
    assert.equal(ignored.status, 'PENDING');
    assert.equal(ignored.nextStep.name, 'select-authenticator-enroll');

    const chosen = await choose(person);
    assert.notEqual(chosen.nextStep.canSkip, true);
    const transaction = await person.auth.idx.proceed({ password: good });
    await succeeded(person.auth, await rest(person.auth, transaction), person);
  });

  test('IDX_C41 IDX_C81 a Skip that was not offered is refused and moves nothing', async () => {
    const { engine, auth, transaction } = await prove({ engine: engines.requirePassword });
    const { stateHandle } = transaction.context;
    const response = await fetch(`${engine}/idp/idx/skip`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ stateHandle }),
    });
    assert.equal(response.status, 400);
    const refusal = await response.json();
    assert.deepEqual(refusal.messages.value.map((m) => m.i18n.key), ['errors.E0000079']);
    assert.equal(refusal.successWithInteractionCode, undefined);
    const state = await auth.idx.proceed({ stateHandle });
    assert.equal(state.nextStep.name, 'select-authenticator-enroll');
  });
}
