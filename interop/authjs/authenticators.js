// The authenticators that need no second device: an app, a question, codes to keep.
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engines, mail, operate } from './engine.js';
import { keys, password, succeeded } from './client.js';

const engine = engines.authenticators;
const second = engines.secondFactors;

// totp is an independent reading of RFC 6238, `steps` from now.
export function totp(secret, steps = 0) {
  let bits = '';
  for (const c of secret) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + steps));
  const mac = createHmac('sha1', key).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
}

export function authenticatorSuite({ connect, account, prove, listed, scan }) {
  test('IDX_A18 IDX_A19 IDX_A21 an authenticator app, enrolled and asked for', async () => {
    const owner = await prove({ engine });
    assert.deepEqual(listed(owner.transaction.nextStep).map(({ label, value }) => ({ label, value })), [
      { label: 'Password', value: 'okta_password' }, { label: 'Google Authenticator', value: 'google_otp' },
      { label: 'Security Question', value: 'security_question' }, { label: 'Recovery Codes', value: 'recovery_code' },
    ]);
    assert.equal(owner.transaction.nextStep.canSkip, true);
    let transaction = await owner.auth.idx.proceed({ authenticator: 'google_otp' });
    const { name, type, inputs, authenticator } = transaction.nextStep;
    assert.deepEqual({ name, type }, { name: 'enroll-authenticator', type: 'app' });
    assert.deepEqual(inputs.map((i) => i.name), ['verificationCode']);
    const { qrcode, sharedSecret } = authenticator.contextualData;
    assert.match(qrcode.href, /^data:image\/png;base64,/);
    assert.match(sharedSecret, /^[A-Z2-7]{32}$/);
    if (scan) assert.equal(/\?secret=(\w+)&/.exec(scan(qrcode.href))[1], sharedSecret);
    transaction = await owner.auth.idx.proceed({ verificationCode: '000000' });
    assert.deepEqual(keys(transaction), ['api.authn.error.PASSCODE_INVALID']);
    transaction = await owner.auth.idx.proceed({ verificationCode: totp(sharedSecret, -3) });
    assert.equal(transaction.nextStep.name, 'select-authenticator-enroll', JSON.stringify(transaction.messages));
    await succeeded(owner.auth, await owner.auth.idx.proceed({ skip: true }), owner);

    const sign = async () => {
      const auth = connect({ engine });
      await auth.idx.authenticate({ username: owner.email });
      const asked = await auth.idx.proceed({ authenticator: 'google_otp' });
      assert.equal(asked.nextStep.name, 'challenge-authenticator');
      assert.equal(asked.nextStep.authenticator.contextualData, undefined);
      return auth;
    };
    const auth = await sign();
    assert.deepEqual(keys(await auth.idx.proceed({ verificationCode: '000000' })),
      ['authfactor.challenge.soft_token.invalid_passcode']);
    const code = totp(sharedSecret);
    await succeeded(auth, await auth.idx.proceed({ verificationCode: code }), owner);
    const again = await sign();
    assert.deepEqual(keys(await again.idx.proceed({ verificationCode: code })),
      ['authfactor.challenge.soft_token.used_passcode']);
  });

  test('IDX_A39 IDX_A40 IDX_A41 a security question, of the list and an own one', async () => {
    for (const [given, asked] of [
      [{ questionKey: 'disliked_food', answer: 'Okta' }, 'What is the food you least liked as a child?'],
      [{ questionKey: 'custom', question: 'Atko', answer: 'Okta' }, 'Atko'],
    ]) {
      const owner = await prove({ engine: second });
      let transaction = await owner.auth.idx.proceed({ authenticator: 'security_question' });
      assert.deepEqual(transaction.nextStep.inputs.map((i) => i.name), ['questionKey', 'question', 'answer']);
      const { questions } = transaction.nextStep.authenticator.contextualData;
      assert.deepEqual(questions[0], { questionKey: 'disliked_food', question: 'What is the food you least liked as a child?' });
      transaction = await owner.auth.idx.proceed({ ...given, answer: 'abc' });
      assert.deepEqual(keys(transaction), ['securityQuestion.answer.tooShort.arg']);
      transaction = await owner.auth.idx.proceed(given);
      assert.equal(transaction.nextStep.name, 'select-authenticator-enroll', JSON.stringify(transaction.messages));
      await owner.auth.idx.proceed({ skip: true });

      const auth = connect({ engine: second });
      transaction = await auth.idx.authenticate({ username: owner.email });
      if (transaction.nextStep.name === 'select-authenticator-authenticate') transaction = await auth.idx.proceed({ authenticator: 'okta_email' });
      const { code } = await mail(second, owner.email, owner.message);
      transaction = await auth.idx.proceed({ verificationCode: code });
      if (transaction.nextStep.name === 'select-authenticator-authenticate') transaction = await auth.idx.proceed({ authenticator: 'security_question' });
      assert.equal(transaction.nextStep.name, 'challenge-authenticator', JSON.stringify(transaction.messages));
      assert.equal(transaction.nextStep.authenticator.contextualData.enrolledQuestion.question, asked);
      transaction = await auth.idx.proceed({ answer: 'Atko' });
      assert.deepEqual(keys(transaction), ['authfactor.challenge.question_factor.answer_invalid']);
      const claims = await succeeded(auth, await auth.idx.proceed({ answer: ' oKTA ' }), owner);
      assert.deepEqual(claims.amr, ['otp', 'kba', 'mfa']);
    }
  });

  test('IDX_A44 a token that an operator handed out, by the press of its button', async () => {
    const owner = await account({ engine });
    const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'; // of RFC 4226, appendix D
    operate('authenticators', ['users', 'token', owner.email], secret);
    const auth = connect({ engine });
    await auth.idx.authenticate({ username: owner.email });
    let transaction = await auth.idx.proceed({ authenticator: 'custom_otp' });
    assert.equal(transaction.nextStep.name, 'challenge-authenticator', JSON.stringify(transaction.messages));
    assert.equal(transaction.nextStep.authenticator.key, 'custom_otp');
    transaction = await auth.idx.proceed({ verificationCode: '000000' });
    assert.deepEqual(keys(transaction), ['api.authn.error.PASSCODE_INVALID']);
    await succeeded(auth, await auth.idx.proceed({ verificationCode: '520489' }), owner); // the tenth; the appendix has ten
  });

  test('SEC_S54 recovery codes, by a client that does not know them', async () => {
    const owner = await prove({ engine: second });
    await owner.auth.idx.proceed({ authenticator: 'okta_password' });
    let transaction = await owner.auth.idx.proceed({ password });
    assert.equal(transaction.nextStep.name, 'select-authenticator-enroll');
    transaction = await owner.auth.idx.proceed({ authenticator: 'recovery_code' });
    const { codes } = transaction.nextStep.authenticator.contextualData;
    assert.equal(codes.length, 10);
    transaction = await owner.auth.idx.proceed({ verificationCode: 'saved' });
    await succeeded(owner.auth, await owner.auth.idx.proceed({ skip: true }), owner);

    const auth = connect({ engine: second });
    await auth.idx.authenticate({ username: owner.email });
    await auth.idx.proceed({ authenticator: 'okta_password' });
    await auth.idx.proceed({ password });
    transaction = await auth.idx.proceed({ authenticator: 'recovery_code' });
    assert.equal(transaction.nextStep.authenticator.key, 'recovery_code', JSON.stringify(transaction.nextStep));
    transaction = await auth.idx.proceed({ verificationCode: '0'.repeat(24) });
    assert.deepEqual(keys(transaction), ['api.authn.error.PASSCODE_INVALID']);
    transaction = await auth.idx.proceed({ verificationCode: codes[2] });
    const claims = await succeeded(auth, transaction, owner);
    assert.deepEqual(claims.amr, ['pwd', 'otp', 'mfa']);
  });
}
