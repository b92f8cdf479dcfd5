// The email authenticator: codes, resend, the mailed link, polling.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mail, mails, open, wrong } from './engine.js';
import { Browser } from './person.js';
import { keys, succeeded } from './client.js';

const poll = { actions: [{ name: 'currentAuthenticator-poll' }] };

// compared is what must stay the same while nothing happens: all but times and
// the engine's own extension, which tells how many tries are left.
function compared({ rawIdxState }) {
  const ignored = ['expiresAt', 'refresh', 'headers', 'stile'];
  return JSON.parse(JSON.stringify(rawIdxState, (key, value) => (ignored.includes(key) ? undefined : value)));
}

export function emailSuite({ connect, signUp, prove }) {
  test('IDX_C80 a wrong code is refused, the right one then works', async () => {
    const { auth, message } = await signUp();
    for (const code of [wrong(message.code), '12345', 'abcdef', `${message.code}0`]) {
      const transaction = await auth.idx.proceed({ verificationCode: code });
      assert.equal(transaction.status, 'PENDING');
      assert.equal(transaction.requestDidSucceed, false);
      assert.equal(transaction.nextStep.name, 'enroll-authenticator');
      assert.deepEqual(keys(transaction), ['api.authn.error.PASSCODE_INVALID']);
      assert.equal(transaction.messages[0].message, 'Invalid code. Try again.');
    }
    const transaction = await auth.idx.proceed({ verificationCode: message.code });
    assert.equal(transaction.nextStep.name, 'select-authenticator-enroll');
  });

  test('after five wrong codes the right one is refused too, and a resend starts afresh', async () => {
    const { auth, engine, email, message } = await signUp();
    for (let i = 1; i <= 5; i++) {
      const transaction = await auth.idx.proceed({ verificationCode: wrong(message.code, i) });
      assert.equal(transaction.status, 'PENDING', `try ${i}`);
    }
    let transaction = await auth.idx.proceed({ verificationCode: message.code });
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.requestDidSucceed, false);
    assert.equal(transaction.nextStep.name, 'enroll-authenticator');
    assert.equal(transaction.nextStep.canResend, true);

    transaction = await auth.idx.proceed({ resend: true });
    assert.equal(transaction.status, 'PENDING');
    const fresh = await mail(engine, email, message);
    transaction = await auth.idx.proceed({ verificationCode: fresh.code });
    assert.equal(transaction.nextStep.name, 'select-authenticator-enroll');
  });

  test('fifteen wrong codes end the step', async () => {
    const person = await signUp();
    const { auth, engine, email } = person;
    let { message, transaction } = person;
    for (let challenge = 1; challenge <= 3; challenge++) {
      for (let i = 1; i <= 5; i++) transaction = await auth.idx.proceed({ verificationCode: wrong(message.code, i) });
      if (challenge === 3) break;
      await auth.idx.proceed({ resend: true });
      message = await mail(engine, email, message);
    }
    if (transaction.status !== 'TERMINAL') transaction = await auth.idx.proceed({ resend: true });
    assert.equal(transaction.status, 'TERMINAL');
    assert.ok(keys(transaction).length > 0, 'it says why');
    assert.equal((await mails(engine, email)).length, 3);
  });

  test('resend sends another mail; both codes are good', async () => {
    for (const which of ['old', 'new']) {
      const { auth, engine, email, message } = await signUp();
      let transaction = await auth.idx.proceed({ resend: true });
      assert.equal(transaction.status, 'PENDING');
      assert.equal(transaction.nextStep.name, 'enroll-authenticator');
      assert.deepEqual(keys(transaction), []);

      const second = await mail(engine, email, message);
      assert.equal((await mails(engine, email)).length, 2);
      const { code } = which === 'old' ? message : second;
      transaction = await auth.idx.proceed({ verificationCode: code });
      assert.equal(transaction.nextStep.name, 'select-authenticator-enroll', `${which} code`);
    }
  });

  test('IDX_C58 IDX_C59 the link leads to the callback with otp and state, however often it is fetched', async () => {
    const { auth, transaction, message } = await signUp();
    for (let i = 0; i < 20; i++) {
      const { status, location } = await open(message.link);
      assert.equal(status, 302);
      assert.equal(location.origin + location.pathname, auth.options.redirectUri);
      assert.equal(location.hash, '');
      // What else is there says where the flow began, for a page in another browser (docs/idx.md).
      const { otp, state, ...rest } = Object.fromEntries(location.searchParams);
      assert.deepEqual({ otp, state }, { otp: message.code, state: transaction.meta.state });
      assert.deepEqual(Object.keys(rest).sort(), ['browser', 'os', 'started']);
    }
    const state = await connect({ tab: new Browser().tab() }).idx.proceed({ stateHandle: transaction.context.stateHandle });
    assert.equal(state.nextStep.name, 'enroll-authenticator', 'nothing moved');
  });

  test('IDX_C60 the link goes on in another tab of the same browser', async () => {
    const { tab, email, message } = await signUp();
    const { location } = await open(message.link);
    const other = connect({ tab: tab.browser.tab() });
    assert.ok(other.idx.isEmailVerifyCallback(location.search));
    let transaction = await other.idx.handleEmailVerifyCallback(location.search);
    assert.equal(transaction.status, 'PENDING');
    assert.equal(transaction.nextStep.name, 'select-authenticator-enroll');
    assert.equal(transaction.nextStep.canSkip, true);
    transaction = await other.idx.proceed({ skip: true });
    await succeeded(other, transaction, { email });
  });

  test('IDX_C61 in another browser the link gives the code to type where it began', async () => {
    const { auth, message } = await signUp();
    const { location } = await open(message.link);
    const elsewhere = connect({ tab: new Browser().tab() });
    const refusal = await elsewhere.idx.handleEmailVerifyCallback(location.search).catch((e) => e);
    assert.equal(refusal.name, 'EmailVerifyCallbackError');
    assert.ok(elsewhere.idx.isEmailVerifyCallbackError(refusal));
    const transaction = await auth.idx.proceed({ verificationCode: refusal.otp });
    assert.equal(transaction.nextStep.name, 'select-authenticator-enroll');
  });

  test('IDX_C62 the first tab learns that another one finished', async () => {
    const { auth, tab, email, message } = await signUp();
    const { location } = await open(message.link);
    const other = connect({ tab: tab.browser.tab() });
    await other.idx.handleEmailVerifyCallback(location.search);
    await succeeded(other, await other.idx.proceed({ skip: true }), { email });

    const transaction = await auth.idx.proceed(poll);
    assert.equal(transaction.status, 'TERMINAL');
    assert.equal(transaction.requestDidSucceed, true);
    assert.deepEqual(keys(transaction), ['idx.transferred.to.new.tab']);
    assert.equal(auth.idx.canProceed(), false);
  });

  test('IDX_C30 IDX_C65 a poll that finds nothing new answers the same, after a wrong code too', async () => {
    const { auth, engine, email, message, transaction } = await signUp();
    for (const before of [() => {}, () => auth.idx.proceed({ verificationCode: wrong(message.code) })]) {
      await before();
      const polled = await auth.idx.proceed(poll);
      assert.equal(polled.status, 'PENDING');
      assert.equal(polled.nextStep.name, 'enroll-authenticator');
      assert.deepEqual(compared(polled), compared(transaction));
      assert.ok(polled.rawIdxState.currentAuthenticator.value.poll.refresh >= 2000);
    }
    assert.equal((await mails(engine, email)).length, 1);
    assert.equal((await auth.idx.proceed({ verificationCode: message.code })).nextStep.name, 'select-authenticator-enroll');
  });

  test('IDX_C64 a link whose sign-up was cancelled, or finished, gives no code any more', async () => {
    const canceled = await signUp();
    await canceled.auth.idx.cancel();
    const finished = await prove();
    for (const { message } of [canceled, finished]) {
      const { location, text } = await open(message.link);
      assert.equal(location?.searchParams.get('otp') ?? null, null);
      assert.ok(!text.includes(message.code));
    }
  });

  test('a cut or invented link gives no code and names no app', async () => {
    const { message } = await signUp();
    for (const link of [message.link.slice(0, -1), message.link + 'x', `${new URL(message.link).origin}/email/verify/x`]) {
      const { status, location } = await open(link);
      assert.ok(status >= 400 && status < 500, `${status}`);
      assert.equal(location, null);
    }
  });
}
