// okta-auth-js 8.x: one's own account, and signing out of the engine.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { OktaAuth, WWWAuthError } from '@okta/okta-auth-js';
import { engines, spa, address, mail, number, wrong } from '../authjs/engine.js';
import { suiteOf, password, freshPassword } from '../authjs/client.js';

const { account, prove } = suiteOf({ OktaAuth, version: 8, options: { idx: { enableLegacyMode: true } } });

const scopes = ['openid', 'profile', 'email', 'offline_access',
  ...['profile', 'email', 'password'].map((part) => `okta.myAccount.${part}.manage`)];

// own is somebody signed in whose tokens the client keeps.
async function own(t) {
  const person = await account({ app: spa, scopes });
  person.auth.tokenManager.setTokens(person.tokens);
  t.after(() => person.auth.tokenManager.clear());
  return person;
}

describe('okta-auth-js 8: my account', () => {
  test('AUTH_14 the profile is read, and replaced as a whole', async (t) => {
    const { auth, email } = await own(t);
    const read = await auth.myaccount.getProfile();
    assert.equal(read.profile.email, email);
    const changed = await auth.myaccount.updateProfile({ payload: { profile: { ...read.profile, firstName: 'Joan' } } });
    assert.equal(changed.profile.firstName, 'Joan');
    assert.equal((await auth.myaccount.getProfile()).profile.firstName, 'Joan');
    await assert.rejects(auth.myaccount.updateProfile({ payload: { profile: { firstName: 'Joan' } } }),
      { name: 'AuthApiError', errorSummary: /^Api validation failed: / });
    const { properties } = await auth.myaccount.getProfileSchema();
    assert.ok(properties.firstName);
  });

  test('AUTH_A68 AUTH_14 another address, proven by the code that it was sent', async (t) => {
    const { auth, email } = await own(t);
    const next = address('new');
    const pending = await auth.myaccount.addEmail({ payload: { profile: { email: next }, sendEmail: true, role: 'PRIMARY' } });
    assert.equal(pending.status, 'UNVERIFIED');
    const { code } = await mail(engines.protect, next);
    await assert.rejects(pending.verify({ verificationCode: wrong(code) }), (e) => {
      assert.equal(e.errorCauses[0].errorSummary, 'User is not authorized.');
      return true;
    });
    assert.deepEqual((await auth.myaccount.getEmails()).map((e) => [e.profile.email, e.status]).sort(),
      [[email, 'VERIFIED'], [next, 'UNVERIFIED']].sort());
    await pending.verify({ verificationCode: code });
    assert.deepEqual((await auth.myaccount.getEmails()).map((e) => [e.profile.email, e.status]), [[next, 'VERIFIED']]);
    assert.match((await mail(engines.protect, email)).subject, /was changed/);
  });

  test('AUTH_A16 AUTH_A69 a number is added, proven, and replaced by another', async (t) => {
    const engine = engines.phone;
    const { auth } = await prove({ engine, app: spa, scopes: ['openid', 'profile', 'email', 'okta.myAccount.phone.manage'] });
    const [first, second] = [number(), `${number().slice(0, -4)}0199`];
    await auth.idx.proceed({ authenticator: 'phone_number', methodType: 'sms', phoneNumber: first });
    await auth.idx.proceed({ verificationCode: (await mail(engine, first)).code });
    await auth.idx.proceed({ authenticator: 'okta_password' });
    const { tokens } = await auth.idx.proceed({ password });
    auth.tokenManager.setTokens(tokens);
    t.after(() => auth.tokenManager.clear());

    const phones = async () => (await auth.myaccount.getPhones()).map((p) => [p.profile.phoneNumber, p.status]);
    assert.deepEqual(await phones(), [[first, 'VERIFIED']], 'A-16');
    const pending = await auth.myaccount.addPhone({ payload: { profile: { phoneNumber: second }, sendCode: true, method: 'SMS' } });
    assert.equal(pending.status, 'UNVERIFIED');
    const { code } = await mail(engine, second);
    await assert.rejects(pending.verify({ verificationCode: wrong(code) }), (e) => {
      assert.equal(e.errorCauses[0].errorSummary,
        "This operation couldn't be completed as requested due to an issue with the specified authenticator.");
      return true;
    });
    await pending.challenge({ method: 'CALL', retry: true });
    const call = await mail(engine, second);
    assert.match(call.text, /^Hello\. Your verification code/);
    await pending.verify({ verificationCode: call.code });
    assert.deepEqual(await phones(), [[second, 'VERIFIED']]);
    await assert.rejects((await auth.myaccount.getPhones())[0].delete(), { errorCode: 'E0000038' }); // it is required
  });

  test('AUTH_A65 AUTH_A66 AUTH_14 a password is chosen and changed; giving it up asks for both factors first', async (t) => {
    const { auth } = await own(t);
    const none = await auth.myaccount.getPassword();
    assert.equal(none.status, 'NOT_ENROLLED');
    await none.enroll({ profile: { password } });
    const chosen = await auth.myaccount.getPassword();
    assert.equal(chosen.status, 'ACTIVE');
    await chosen.update({ profile: { password: freshPassword, currentPassword: password } });
    await assert.rejects((await auth.myaccount.getPassword()).delete(), (e) => {
      assert.equal(e.errorSummary, 'insufficient_authentication_context');
      assert.deepEqual(e.meta, { max_age: 300, acr_values: 'urn:okta:loa:2fa:any:ifpossible' });
      return true;
    });
    const { profile } = await auth.myaccount.getProfile();
    await assert.rejects(auth.myaccount.updateProfile({ payload: { profile } }), (e) => {
      assert.deepEqual(e.meta, { max_age: 900, acr_values: 'urn:okta:loa:2fa:any:ifpossible' });
      return true;
    });
    const raw = await fetch(`${engines.protect}/idp/myaccount/profile`, {
      method: 'PUT', body: '{"profile":{}}', headers: { 'content-type': 'application/json', authorization: `Bearer ${auth.getAccessToken()}` },
    });
    assert.equal(raw.status, 403);
    const parsed = WWWAuthError.parseHeader(raw.headers.get('www-authenticate'));
    assert.equal(parsed.scheme, 'Bearer');
    assert.deepEqual(parsed.parameters, {
      realm: 'IdpMyAccountAPI', error: 'insufficient_authentication_context',
      error_description: 'The access token requires additional assurance to access the resource',
      max_age: '900', acr_values: 'urn:okta:loa:2fa:any:ifpossible',
    });
  });

  test('signing out goes by the engine to where the app is registered to be', async () => {
    const { auth, tokens } = await account({ app: spa, scopes });
    const home = `${new URL(spa.redirectUri).origin}/`;
    const out = await fetch(auth.getSignOutRedirectUrl({ idToken: tokens.idToken, postLogoutRedirectUri: home, state: 'back' }), { redirect: 'manual' });
    assert.ok([302, 303].includes(out.status), `${out.status}`);
    assert.equal(out.headers.get('location'), `${home}?state=back`);
    const elsewhere = await fetch(auth.getSignOutRedirectUrl({ idToken: tokens.idToken, postLogoutRedirectUri: 'http://evil.example/' }), { redirect: 'manual' });
    assert.equal(elsewhere.status, 400);
  });
});
