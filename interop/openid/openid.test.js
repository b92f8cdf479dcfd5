// openid-client 6.x, as published, as an independent judge of discovery, tokens,
// refresh, userinfo and revocation. It knows nothing of IDX: the code is
// obtained by plain requests, as any HTTP client would.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import * as oidc from 'openid-client';
import { engines, web, spa, address, mail } from '../authjs/engine.js';

// walk signs a new person up with one plain request per step, and returns the code.
async function walk(config, app, verifier, nonce) {
  const { issuer } = config.serverMetadata();
  const post = async (url, body) => {
    const form = body instanceof URLSearchParams;
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': form ? 'application/x-www-form-urlencoded' : 'application/json' },
      body: form ? body : JSON.stringify(body),
    });
    const answer = await response.json();
    assert.equal(response.status, 200, JSON.stringify(answer));
    return answer;
  };
  const { interaction_handle: interactionHandle } = await post(`${issuer}/v1/interact`, new URLSearchParams({
    client_id: app.clientId, redirect_uri: app.redirectUri, scope: 'openid profile email offline_access',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    state: oidc.randomState(), nonce,
  }));
  let state = await post(`${engines.protect}/idp/idx/introspect`, { interactionHandle });
  const follow = async (name, body) => {
    const form = state.remediation.value.find((r) => r.name === name);
    state = await post(form.href, { ...body, stateHandle: state.stateHandle });
  };
  const email = address();
  await follow('select-enroll-profile');
  await follow('enroll-profile', { userProfile: { firstName: 'John', lastName: 'Doe', email } });
  await follow('enroll-authenticator', { credentials: { passcode: (await mail(engines.protect, email)).code } });
  await follow('skip');
  const { value } = state.successWithInteractionCode.value.find((f) => f.name === 'interaction_code');
  return { email, interaction_code: value };
}

describe('openid-client 6', () => {
  for (const [method, app, authentication] of [
    ['client_secret_basic', web, oidc.ClientSecretBasic(web.clientSecret)],
    ['client_secret_post', web, oidc.ClientSecretPost(web.clientSecret)],
    ['none', spa, oidc.None()],
  ]) {
    test(`tokens, refresh, userinfo and revocation, ${method}`, async () => {
      const issuer = new URL(`${engines.protect}/oauth2/default`);
      const config = await oidc.discovery(issuer, app.clientId, undefined, authentication, { execute: [oidc.allowInsecureRequests] });
      assert.equal(config.serverMetadata().issuer, issuer.href);
      assert.ok(config.serverMetadata().supportsPKCE());
      oidc.enableNonRepudiationChecks(config);

      const verifier = oidc.randomPKCECodeVerifier();
      const nonce = oidc.randomNonce();
      const { email, interaction_code } = await walk(config, app, verifier, nonce);
      const tokens = await oidc.genericGrantRequest(config, 'interaction_code', { interaction_code, code_verifier: verifier });
      const claims = tokens.claims();
      assert.equal(claims.nonce, nonce);
      assert.equal(claims.email, email);
      const info = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
      assert.equal(info.email, email);

      const renewed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
      assert.notEqual(renewed.access_token, tokens.access_token);
      assert.equal(renewed.claims().sub, claims.sub);
      await oidc.fetchUserInfo(config, renewed.access_token, claims.sub);

      await oidc.tokenRevocation(config, renewed.refresh_token);
      await assert.rejects(oidc.refreshTokenGrant(config, renewed.refresh_token), { error: 'invalid_grant' });
    });
  }

  test('discovery names only what is there', async () => {
    for (const issuer of [`${engines.protect}/oauth2/default`, engines.protect]) {
      const config = await oidc.discovery(new URL(issuer), web.clientId, undefined, undefined, { execute: [oidc.allowInsecureRequests] });
      const metadata = config.serverMetadata();
      for (const [name, url] of Object.entries(metadata)) {
        if (!/_endpoint$|_uri$/.test(name)) continue;
        const { status } = await fetch(url, { redirect: 'manual' });
        assert.notEqual(status, 404, `${name}: ${url}`);
      }
    }
  });
});
