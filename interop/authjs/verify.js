// Okta Verify with a device of our own: what the clients see of it, and a phone
// that speaks the small API of docs/device-api.md.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { totp } from './authenticators.js';
import { mail, number } from './engine.js';
import { keys, rest, succeeded } from './client.js';

const encode = (data) => Buffer.from(data).toString('base64url');

class Phone {
  static async add(engine, link) {
    const phone = new Phone();
    const pair = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
    phone.engine = engine;
    phone.key = pair.privateKey;
    const { kty, crv, x, y } = await webcrypto.subtle.exportKey('jwk', pair.publicKey);
    const token = new URL(link).searchParams.get('t');
    Object.assign(phone, await phone.say('/device/v1/enroll', { jwk: { kty, crv, x, y } }, { token, name: 'Phone' }));
    return phone;
  }

  async say(path, header, claims) {
    const jti = encode(webcrypto.getRandomValues(new Uint8Array(16)));
    const parts = [{ alg: 'ES256', typ: 'stile-device+jwt', ...header },
      { htm: 'POST', htu: this.engine + path, iat: Math.floor(Date.now() / 1000), jti, ...claims }];
    const text = parts.map((p) => encode(JSON.stringify(p))).join('.');
    const signature = await webcrypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, this.key, Buffer.from(text));
    const response = await fetch(this.engine + path, {
      method: 'POST', headers: { 'Content-Type': 'application/jose' }, body: `${text}.${encode(signature)}`,
    });
    const answer = await response.json();
    assert.equal(response.status, 200, JSON.stringify(answer));
    return answer;
  }

  async requests() {
    return (await this.say('/device/v1/requests', { kid: this.device }, {})).requests;
  }

  async answer(claims) {
    return (await this.say('/device/v1/answer', { kid: this.device }, claims)).result;
  }

  code() {
    return totp(this.secret);
  }
}

export function verifySuite({ connect, prove, listed, scan }) {
  // withPhone makes a person who has a phone.
  async function withPhone(settings) {
    const person = await prove(settings);
    const { auth, engine } = person;
    let transaction = await auth.idx.proceed({ authenticator: 'okta_verify' });
    assert.equal(transaction.nextStep.name, 'enroll-poll');
    const { qrcode, stile } = transaction.nextStep.authenticator.contextualData;
    assert.ok(qrcode.href.startsWith('data:image/png;base64,'));
    if (scan) assert.equal(scan(qrcode.href), stile.link);
    const phone = await Phone.add(engine, stile.link);
    transaction = await auth.idx.proceed({ step: 'enroll-poll' });
    assert.deepEqual(listed(transaction.nextStep), [{ label: 'Password', value: 'okta_password' }]);
    await succeeded(auth, await rest(auth, transaction), person);
    return { ...person, phone };
  }

  async function choose(person, methodType) {
    const auth = connect();
    await auth.idx.authenticate({ username: person.email });
    let transaction = await auth.idx.proceed({ step: 'select-authenticator-authenticate', authenticator: 'okta_verify' });
    assert.equal(transaction.nextStep.name, 'authenticator-verification-data');
    transaction = await auth.idx.proceed({ methodType });
    return { auth, transaction };
  }

  test('AUTH_A22 AUTH_A23 AUTH_A24 a phone is enrolled by the link of the mail', async () => {
    const person = await prove();
    const { auth, engine, email } = person;
    let transaction = await auth.idx.proceed({ authenticator: 'okta_verify' });
    assert.equal(transaction.nextStep.name, 'enroll-poll');
    assert.equal(transaction.nextStep.authenticator.displayName, 'Okta Verify');
    assert.ok(transaction.nextStep.poll.refresh > 0);
    assert.ok(transaction.availableSteps.some((s) => s.name === 'select-enrollment-channel'));

    transaction = await auth.idx.proceed({ step: 'select-enrollment-channel', channel: 'email' });
    assert.equal(transaction.nextStep.name, 'enrollment-channel-data');
    assert.deepEqual(transaction.nextStep.inputs.map((i) => i.name), ['email']);
    transaction = await auth.idx.proceed({ email });
    assert.equal(transaction.nextStep.name, 'enroll-poll');
    assert.equal(transaction.nextStep.authenticator.contextualData.email, email);

    const { html } = await mail(engine, email, person.message);
    const [, link] = html.match(/<a id="push-verify-activation-link" href="(\S+)"/);
    const page = await fetch(link);
    assert.equal(page.status, 200);
    assert.match(page.url, /\/auth\/push\/link/);
    await Phone.add(engine, link);
    transaction = await auth.idx.proceed({ step: 'enroll-poll' });
    await succeeded(auth, await rest(auth, transaction), person);
  });

  test('AUTH_A23 AUTH_A24 AUTH_A25 a phone is enrolled by the link of the text', async () => {
    const person = await prove();
    const { auth, engine } = person;
    const phone = number();
    let transaction = await auth.idx.proceed({ authenticator: 'okta_verify' });
    const step = transaction.availableSteps.find((s) => s.name === 'select-enrollment-channel');
    assert.ok(JSON.stringify(step.inputs).includes('"sms"'), JSON.stringify(step));
    transaction = await auth.idx.proceed({ step: 'select-enrollment-channel', channel: 'sms' });
    assert.equal(transaction.nextStep.name, 'enrollment-channel-data');
    assert.deepEqual(transaction.nextStep.inputs.map((i) => i.name), ['phoneNumber']);
    transaction = await auth.idx.proceed({ phoneNumber: phone });
    assert.equal(transaction.nextStep.name, 'enroll-poll');
    assert.equal(transaction.nextStep.authenticator.contextualData.phoneNumber, phone);
    const { text } = await mail(engine, phone);
    const [, link] = text.match(/Click here to enroll Okta Verify : (\S+)/);
    const page = await fetch(link);
    assert.equal(page.status, 200);
    assert.match(page.url, /\/auth\/push\/link/);
    await Phone.add(engine, link);
    transaction = await auth.idx.proceed({ step: 'enroll-poll' });
    await succeeded(auth, await rest(auth, transaction), person);
  });

  test('AUTH_A27 AUTH_A28 a sign-in is approved, and another denied, on the phone', async () => {
    const person = await withPhone();
    let { auth, transaction } = await choose(person, 'push');
    assert.equal(transaction.nextStep.name, 'challenge-poll');
    const { correctAnswer } = transaction.nextStep.authenticator.contextualData;
    let [asked] = await person.phone.requests();
    assert.ok(asked.numbers.includes(correctAnswer));
    transaction = await auth.idx.proceed({ step: 'challenge-poll' });
    assert.equal(transaction.nextStep.name, 'challenge-poll', 'nobody has answered');
    assert.equal(await person.phone.answer({ request: asked.request, approve: true, number: correctAnswer }), 'approved');
    await succeeded(auth, await auth.idx.proceed({ step: 'challenge-poll' }), person);

    ({ auth, transaction } = await choose(person, 'push'));
    [asked] = await person.phone.requests();
    assert.equal(await person.phone.answer({ request: asked.request, approve: false }), 'denied');
    transaction = await auth.idx.proceed({ step: 'challenge-poll' });
    assert.deepEqual(keys(transaction), ['api.authn.poll.error.push_rejected']);
  });

  test('AUTH_A26 a sign-in by the code that the phone shows', async () => {
    const person = await withPhone();
    let { auth, transaction } = await choose(person, 'totp');
    assert.equal(transaction.nextStep.name, 'challenge-authenticator');
    transaction = await auth.idx.proceed({ verificationCode: '12' });
    assert.deepEqual(keys(transaction), ['api.authn.error.PASSCODE_INVALID']);
    transaction = await auth.idx.proceed({ verificationCode: person.phone.code() });
    await succeeded(auth, transaction, person);
  });
}
