// The client under test, set up as its users set it up, and what the suites
// ask of its answers.
import assert from 'node:assert/strict';
import { engines, web, address, mail } from './engine.js';
import { Browser } from './person.js';

export const johnDoe = (email) => ({ firstName: 'John', lastName: 'Doe', email });

export const password = 'correct-horse-battery-9';
export const freshPassword = 'staple-of-a-new-horse-7';

// The guide's list.
export const optionalAuthenticators = [{ label: 'Okta Verify', value: 'okta_verify' }, { label: 'Password', value: 'okta_password' }];

// rest declines what is optional still after a first choice, which is listed again.
export async function rest(auth, transaction) {
  if (transaction.nextStep?.name !== 'select-authenticator-enroll' || !transaction.nextStep.canSkip) return transaction;
  return auth.idx.proceed({ skip: true });
}

// suiteOf binds the suites to one version of the client. `listed` finds the
// list of authenticators where that version puts it.
export function suiteOf({ OktaAuth, version, options = {}, listed, scan }) {
  function connect({ engine = engines.protect, app = web, tab = new Browser().tab(), saveLastResponse = true, ...more } = {}) {
    const { clientId, clientSecret, redirectUri } = app;
    return new OktaAuth({
      issuer: `${engine}/oauth2/default`,
      clientId, redirectUri, ...(clientSecret && { clientSecret }),
      scopes: ['openid', 'profile', 'email'],
      storageManager: tab.storageManager(),
      transactionManager: { enableSharedStorage: true, saveLastResponse }, // as in a browser
      ...options, ...more,
    });
  }

  // signUp takes a new person as far as the code's step.
  async function signUp(settings = {}) {
    const { engine = engines.protect, tab = new Browser().tab(), email = address(), ...more } = settings;
    const auth = connect({ engine, tab, ...more });
    const transaction = await auth.idx.register(johnDoe(email));
    assert.equal(transaction.nextStep?.name, 'enroll-authenticator', JSON.stringify(transaction.messages));
    return { engine, tab, email, auth, transaction, message: await mail(engine, email) };
  }

  // prove goes on to the list of optional authenticators.
  async function prove(settings) {
    const person = await signUp(settings);
    const transaction = await person.auth.idx.proceed({ verificationCode: person.message.code });
    assert.equal(transaction.nextStep?.name, 'select-authenticator-enroll', JSON.stringify(transaction.messages));
    return { ...person, transaction };
  }

  // account makes a person with an account and tokens.
  async function account(settings) {
    const person = await prove(settings);
    const transaction = await person.auth.idx.proceed({ skip: true });
    assert.equal(transaction.status, 'SUCCESS', JSON.stringify(transaction.messages));
    return { ...person, transaction, tokens: transaction.tokens };
  }

  // withPassword makes a person who has chosen a password, and tokens where the engine gives any then.
  async function withPassword(settings) {
    const person = await prove(settings);
    await person.auth.idx.proceed({ authenticator: 'okta_password' });
    const transaction = await rest(person.auth, await person.auth.idx.proceed({ password }));
    assert.ok(transaction.requestDidSucceed !== false, JSON.stringify(transaction.messages));
    return { ...person, transaction, tokens: transaction.tokens };
  }

  return { connect, signUp, prove, account, withPassword, listed, scan, version, webauthn: OktaAuth.webauthn };
}

// keys lists a transaction's messages by their i18n key.
export const keys = (transaction) => (transaction.messages ?? []).map((m) => m.i18n.key);

// pick returns only those members of an object that a shape has, all the way down.
export function pick(object, shape) {
  if (object === null || typeof object !== 'object' || shape === null || typeof shape !== 'object') return object;
  return Object.fromEntries(Object.keys(shape).filter((k) => k in object).map((k) => [k, pick(object[k], shape[k])]));
}

// shapeOf is what a transaction shows, without what must differ between two of
// them: handles, ids, addresses and times. All the rest must be the same.
export function shapeOf({ status, nextStep, messages, rawIdxState }, email) {
  const varies = ['id', 'stateHandle', 'expiresAt', 'codeExpiresAt', 'resendAt', 'value', 'email'];
  const text = JSON.stringify({ status, nextStep, messages, rawIdxState }, (key, v) => {
    if (key === 'headers') return undefined;
    return varies.includes(key) && typeof v === 'string' ? key : v;
  });
  return JSON.parse(text.replaceAll(email, 'ADDRESS'));
}

// succeeded checks a SUCCESS as the guide has it, by the client's own verification.
export async function succeeded(auth, transaction, { email }) {
  assert.equal(transaction.status, 'SUCCESS');
  const { accessToken, idToken } = transaction.tokens;
  assert.equal(accessToken.tokenType, 'Bearer');
  assert.ok(accessToken.expiresAt > Date.now() / 1000);
  assert.ok(idToken.expiresAt > Date.now() / 1000);

  assert.ok(auth.features.isTokenVerifySupported(), 'the client can verify signatures here');
  const { issuer, clientId } = auth.options;
  const { nonce } = transaction.meta;
  assert.ok(nonce, 'the client sent a nonce');
  await auth.token.verify(idToken, { issuer, clientId, nonce, accessToken: accessToken.accessToken });
  await assert.rejects(
    auth.token.verify(idToken, { issuer, clientId, nonce, accessToken: `${accessToken.accessToken}x` }),
    /Token hash verification failed/, 'at_hash is there and is checked');

  const { claims } = idToken;
  assert.equal(claims.aud, clientId);
  assert.equal(claims.email, email);
  assert.equal(claims.email_verified, true);
  const { header } = auth.token.decode(idToken.idToken);
  assert.deepEqual(Object.keys(header).sort(), ['alg', 'kid']);

  const info = await auth.token.getUserInfo(accessToken, idToken);
  assert.equal(info.sub, claims.sub);
  assert.equal(info.email, email);
  return claims;
}
