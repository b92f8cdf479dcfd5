// Requests that the engine refuses, as the client's callers see it.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { web } from './engine.js';
import { johnDoe, keys } from './client.js';

export function refusalSuite({ connect, signUp }) {
  const refusals = [
    ['IDX_C07 an unknown client', { app: { ...web, clientId: 'nobody' } }, 'invalid_client'],
    ['IDX_C04 a wrong secret', { app: { ...web, clientSecret: 'wrong' } }, 'invalid_client'],
    ['IDX_C06 a redirect URI that is not registered', { app: { ...web, redirectUri: 'http://localhost:1/login/callback' } }, 'invalid_request'],
    ['IDX_C07 an unknown scope', { scopes: ['openid', 'moon'] }, 'invalid_scope'],
  ];
  for (const [name, settings, errorCode] of refusals) {
    test(`${name} is refused at interact`, async () => {
      const refusal = await connect(settings).idx.register(johnDoe('john.doe@example.com')).catch((e) => e);
      assert.equal(refusal.name, 'OAuthError');
      assert.equal(refusal.errorCode, errorCode);
      assert.ok(refusal.errorSummary);
    });
  }

  test('IDX_C04 a confidential client may leave its secret out until the token request', async () => {
    const { clientSecret, ...rest } = web;
    const transaction = await connect({ app: rest }).idx.startTransaction();
    assert.equal(transaction.status, 'PENDING');
  });

  test('IDX_C79 an unknown interaction ends, and says so', async () => {
    const { tab, transaction } = await signUp();
    const { interactionHandle } = transaction.meta;
    const stale = tab.copy();
    stale.edit((text) => text.replaceAll(interactionHandle, `${interactionHandle.slice(0, -4)}AAAA`));
    const ended = await connect({ tab: stale, saveLastResponse: false }).idx.proceed();
    assert.equal(ended.status, 'TERMINAL');
    assert.deepEqual(keys(ended), ['idx.session.expired']);
  });

  for (const [name, change] of [
    ['unknown', (handle) => `${handle.slice(0, -4)}AAAA`],
    ['cut', (handle) => handle.slice(0, handle.length / 2)],
  ]) {
    test(`IDX_C79 a handle that is ${name} ends, and says so`, async () => {
      const { auth, tab, transaction, message } = await signUp();
      const { stateHandle } = transaction.context;
      const stale = tab.copy();
      stale.edit((text) => text.replaceAll(stateHandle, change(stateHandle)));
      const ended = await connect({ tab: stale }).idx.proceed({ verificationCode: message.code });
      assert.equal(ended.status, 'TERMINAL');
      assert.equal(ended.requestDidSucceed, false);
      assert.deepEqual(keys(ended), ['idx.session.expired']);
      assert.equal(ended.context.stateHandle, undefined);

      const transactionGoesOn = await auth.idx.proceed({ verificationCode: message.code });
      assert.equal(transactionGoesOn.nextStep.name, 'select-authenticator-enroll');
    });
  }
}
