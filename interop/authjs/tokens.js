// What the client does with tokens, and codes that must not give any.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { engines, web, spa, address, mail } from './engine.js';
import { johnDoe } from './client.js';

const offline = ['openid', 'profile', 'email', 'offline_access'];

// keep stores tokens with the client for the time of one test: it sets timers on them.
function keep(t, { auth, tokens }) {
  auth.tokenManager.setTokens(tokens);
  t.after(() => auth.tokenManager.clear());
}

export function tokenSuite({ connect, account, prove }) {
  test('IDX_C75 a refresh token comes with offline_access only', async () => {
    assert.equal((await account()).tokens.refreshToken, undefined);
    assert.ok((await account({ scopes: offline })).tokens.refreshToken);
  });

  test('a public client refreshes, and the token rotates', async (t) => {
    const { auth, email, tokens } = await account({ app: spa, scopes: offline });
    keep(t, { auth, tokens });
    const renewed = await auth.token.renewTokens();
    assert.notEqual(renewed.accessToken.accessToken, tokens.accessToken.accessToken);
    assert.notEqual(renewed.refreshToken.refreshToken, tokens.refreshToken.refreshToken);
    assert.equal(renewed.idToken.claims.sub, tokens.idToken.claims.sub);
    assert.equal(renewed.idToken.claims.nonce, undefined);
    await auth.token.verify(renewed.idToken,
      { issuer: auth.options.issuer, clientId: auth.options.clientId, accessToken: renewed.accessToken.accessToken });
    const info = await auth.token.getUserInfo(renewed.accessToken, renewed.idToken);
    assert.equal(info.email, email);
  });

  test('a refresh token of a confidential client is of no use without its secret', async (t) => {
    const { auth, tokens } = await account({ app: web, scopes: offline });
    keep(t, { auth, tokens });
    await assert.rejects(auth.token.renewTokens(), { name: 'OAuthError', errorCode: 'invalid_client' });
  });

  for (const app of [web, spa]) {
    test(`IDX_C78 a revoked access token is refused, ${app.name}`, async () => {
      const { auth, tokens } = await account({ app });
      await auth.revokeAccessToken(tokens.accessToken);
      await assert.rejects(auth.token.getUserInfo(tokens.accessToken, tokens.idToken),
        { name: 'OAuthError', errorCode: 'invalid_token' });
      await auth.revokeAccessToken(tokens.accessToken);
    });
  }

  test('a revoked refresh token is refused', async (t) => {
    const { auth, tokens } = await account({ app: spa, scopes: offline });
    await auth.revokeRefreshToken(tokens.refreshToken);
    keep(t, { auth, tokens });
    await assert.rejects(auth.token.renewTokens(),
      { errorCode: 'invalid_grant', errorSummary: 'The refresh token is invalid or expired.' });
  });

  test('IDX_C74 an interaction code gives tokens once', async () => {
    const { auth } = await prove();
    const { status, interactionCode, meta } = await auth.idx.proceed({ skip: true, exchangeCodeForTokens: false });
    assert.equal(status, 'SUCCESS');
    const { codeVerifier, scopes } = meta;
    const exchange = () => auth.token.exchangeCodeForTokens({ interactionCode, codeVerifier, scopes });
    const { tokens } = await exchange();
    assert.ok(tokens.idToken);
    await assert.rejects(exchange(), { name: 'OAuthError', errorCode: 'invalid_grant' });
    await assert.rejects(auth.token.getUserInfo(tokens.accessToken, tokens.idToken),
      { name: 'OAuthError', errorCode: 'invalid_token' }, 'reuse revokes what the first use gave');
  });

  test('IDX_C73 a wrong verifier gives nothing', async () => {
    const { auth } = await prove();
    const { interactionCode, meta } = await auth.idx.proceed({ skip: true, exchangeCodeForTokens: false });
    const codeVerifier = [...meta.codeVerifier].reverse().join('');
    await assert.rejects(auth.token.exchangeCodeForTokens({ interactionCode, codeVerifier, scopes: meta.scopes }),
      { name: 'OAuthError', errorCode: 'invalid_grant' });
  });

  test("IDX_C74 another client's code gives nothing", async () => {
    const { auth } = await prove({ app: spa });
    const { interactionCode, meta } = await auth.idx.proceed({ skip: true, exchangeCodeForTokens: false });
    const { codeVerifier, scopes } = meta;
    await assert.rejects(connect({ app: web }).token.exchangeCodeForTokens({ interactionCode, codeVerifier, scopes }),
      { name: 'OAuthError', errorCode: 'invalid_grant' });
  });

  test('userinfo refuses what is no token', async () => {
    const { auth, tokens } = await account();
    const accessToken = { ...tokens.accessToken, accessToken: `${tokens.accessToken.accessToken}x` };
    await assert.rejects(auth.token.getUserInfo(accessToken, tokens.idToken),
      { name: 'OAuthError', errorCode: 'invalid_token' });
  });

  test('the ID token is silent about what was not asked for', async () => {
    const email = address();
    const auth = connect({ scopes: ['openid'] });
    await auth.idx.register(johnDoe(email));
    await auth.idx.proceed({ verificationCode: (await mail(engines.protect, email)).code });
    const { tokens } = await auth.idx.proceed({ skip: true });
    assert.equal(tokens.idToken.claims.email, undefined);
    assert.equal(tokens.idToken.claims.given_name, undefined);
    assert.deepEqual(tokens.accessToken.scopes, ['openid']);
  });
}
