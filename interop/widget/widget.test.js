// The Sign-In Widget 7.x, as published, embedded cross-origin in Chromium.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { engines, spa, address, mail, wrong } from '../authjs/engine.js';
import { OktaAuth } from '@okta/okta-auth-js';
import { freshPassword, password, suiteOf } from '../authjs/client.js';
import { Key } from '../authjs/key.js';
import { serve } from './page.js';

const pageURL = process.env.STILE_PAGE_URL;
const patience = 30_000;

// People whose sign-up is not under test are made by the client alone.
const { withPassword, prove, webauthn } = suiteOf({ OktaAuth, options: { idx: { enableLegacyMode: true } } });

let server;
let browser;

before(async () => {
  assert.ok(pageURL, 'STILE_PAGE_URL is not set: start the suite with interop/run');
  server = await serve(pageURL, engines, {
    clientId: spa.clientId,
    redirectUri: spa.redirectUri,
    scopes: ['openid', 'profile', 'email'],
    language: 'en',
    assets: { baseUrl: '/widget' },
    features: { autoFocus: false }, // it would steal the focus while a test types
  });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
});

after(async () => {
  await browser?.close();
  server?.close();
});

// visit runs one person's visit in a fresh profile. Nothing but the page's and
// the engine's origin may be asked for anything.
async function visit(generation, steps, engine = 'protect') {
  const context = await browser.newContext();
  context.setDefaultTimeout(patience);
  const seen = [];
  const allowed = [new URL(pageURL).origin, engines[engine]];
  await context.route('**', (route) => {
    const { origin, protocol } = new URL(route.request().url());
    if (protocol === 'data:' || protocol === 'blob:' || allowed.includes(origin)) return route.continue();
    seen.push(`asked for ${route.request().url()}`);
    return route.abort();
  });
  context.on('weberror', (e) => seen.push(`uncaught: ${e.error()}`));
  const log = [];
  context.on('console', (m) => log.push(`${m.type()}: ${m.text()}`));
  context.on('response', (r) => r.url().startsWith(engines[engine]) && log.push(`${r.status()} ${r.request().method()} ${r.url()}`));
  const page = await context.newPage();
  try {
    await page.goto(home(generation, engine));
    await steps(page, context);
    assert.deepEqual(seen, []);
  } catch (error) {
    const dir = await mkdtemp(join(tmpdir(), 'stile-widget-'));
    for (const [i, p] of context.pages().entries()) await p.screenshot({ path: join(dir, `${i}.png`) }).catch(() => {});
    throw new Error(`${error.message}\nscreenshots in ${dir}\n${[...seen, ...log].join('\n')}`, { cause: error });
  } finally {
    await context.close();
  }
}

const home = (generation, engine) => `${pageURL}/?generation=${generation}&engine=${engine}`;

const field = (page, name) => page.locator(`input[name="${name}"]`);

// What differs between the two generations. Only the second submits a link's
// code by itself; the third shows the code's page. Only the third shows "Forgot
// password?" beside a user name alone; the second has it at the password.
const words = {
  2: {
    submit: (page) => page.locator('input[type=submit]'),
    enterCode: (page) => page.locator('.enter-auth-code-instead-link'),
    skip: (page) => page.locator('.skip-all'),
    choose: (page, key) => page.locator(`[data-se=${key}] a, [data-se=${key}] button`).first(),
    other: (page) => page.locator('.js-switchAuthenticator'),
    forgot: (page) => page.locator('.js-forgot-password'),
    box: (page) => page.locator('.infobox-error').first(),
    confirmation: (page) => field(page, 'confirmPassword'),
    error: (page) => page.locator('.o-form-input-error').first(),
    submitsLink: true,
    forgotFirst: false,
    passkey: (page) => page.locator('.sign-in-with-passkeys-option'),
  },
  3: {
    submit: (page) => page.locator('[data-type=save], button[type=submit]').first(),
    enterCode: (page) => page.getByRole('button', { name: 'Enter a verification code instead' }),
    skip: (page) => page.getByRole('button', { name: 'Continue', exact: true }),
    choose: (page, key) => page.locator(`[data-se=${key}]`).first(),
    other: (page) => page.getByRole('link', { name: 'Verify with something else' }),
    forgot: (page) => page.getByRole('link', { name: 'Forgot password?' }),
    box: (page) => page.locator('[role=alert]').first(),
    confirmation: (page) => field(page, 'confirmPassword'),
    error: (page) => page.locator('[role=alert], .Mui-error').first(),
    submitsLink: false,
    forgotFirst: true,
    passkey: (page) => page.getByRole('button', { name: 'Sign in with a passkey' }),
  },
};

// register fills in the sign-up page as far as the code's page.
async function register(page, on, email) {
  await page.getByRole('link', { name: 'Sign up' }).click();
  await field(page, 'userProfile.firstName').fill('John');
  await field(page, 'userProfile.lastName').fill('Doe');
  await field(page, 'userProfile.email').fill(email);
  await on.submit(page).click();
}

async function enter(page, on, code) {
  await field(page, 'credentials.passcode').fill(code);
  await on.submit(page).click();
}

// enterAgain enters after an error: a page that has just shown one may drop what is submitted.
async function enterAgain(page, on, code) {
  await field(page, 'credentials.passcode').fill(code);
  let sent = false;
  const request = page.waitForRequest(/\/idp\/idx\/(identify|challenge\/answer)$/).then(() => { sent = true; });
  while (!sent) {
    await on.submit(page).click();
    await Promise.race([request, page.waitForTimeout(500)]);
  }
}

async function succeeded(page, email) {
  await page.waitForFunction(() => window.outcome);
  const { tokens, info, error } = await page.evaluate(() => window.outcome);
  assert.equal(error, undefined);
  assert.equal(tokens.accessToken.tokenType, 'Bearer');
  assert.equal(tokens.idToken.claims.email, email);
  assert.equal(info.sub, tokens.idToken.claims.sub);
  return info.sub;
}

for (const generation of [2, 3]) {
  const on = words[generation];

  test(`Sign-In Widget, generation ${generation}, signs a user up by code, and in again`, async () => {
    const email = address();
    let user;
    let first;
    await visit(generation, async (page) => {
      await register(page, on, email);
      first = await mail(engines.protect, email);
      await on.enterCode(page).click();
      await enter(page, on, wrong(first.code));
      await on.error(page).waitFor();
      // IDX_C30: an answer that differs from the last one draws the page anew.
      await page.waitForResponse(/challenge\/poll$/);
      assert.ok(await field(page, 'credentials.passcode').isVisible(), 'a poll leaves the page as it is');
      await enter(page, on, first.code);
      await on.skip(page).click();
      user = await succeeded(page, email);
    });
    await visit(generation, async (page) => {
      await field(page, 'identifier').fill(email);
      await on.submit(page).click();
      const { code } = await mail(engines.protect, email, first);
      await on.enterCode(page).click();
      await enter(page, on, code);
      assert.equal(await succeeded(page, email), user);
    });
  });

  test(`Sign-In Widget, generation ${generation}, signs a user up by the link, with a password`, () =>
    visit(generation, async (page, context) => {
      const email = address();
      await register(page, on, email);
      await on.enterCode(page).waitFor();
      const { link, code } = await mail(engines.protect, email);
      const tab = await context.newPage();
      await tab.goto(link);
      if (!on.submitsLink) {
        await on.enterCode(tab).click();
        await enter(tab, on, code);
      }
      await on.choose(tab, 'okta_password').click();
      await field(tab, 'credentials.passcode').fill(password);
      await on.confirmation(tab).fill(password);
      await on.submit(tab).click();
      await on.skip(tab).click(); // what else is optional
      await succeeded(tab, email);
      // A poll takes the first tab along, to a later step or to the end.
      await on.enterCode(page).waitFor({ state: 'hidden' });
    }));

  const identify = async (page, email) => {
    await field(page, 'identifier').fill(email);
    await on.submit(page).click();
  };

  test(`Sign-In Widget, generation ${generation}, IDX_C53 user name and password on one page, and none of it the second time`, async () => {
    const engine = 'passwordFirst';
    const owner = await withPassword({ engine: engines[engine] });
    await visit(generation, async (page) => {
      await field(page, 'identifier').fill(owner.email);
      assert.ok(await on.forgot(page).isVisible());
      await enter(page, on, 'not-the-password');
      await on.box(page).waitFor();
      await enterAgain(page, on, password);
      await succeeded(page, owner.email);
      // The engine's cookie is the same site's as the page: nobody is asked again.
      await page.goto(home(generation, engine));
      await succeeded(page, owner.email);
    }, engine);
  });

  test(`Sign-In Widget, generation ${generation}, IDX_C54 the password where the email goes first`, async () => {
    const owner = await withPassword();
    await visit(generation, async (page) => {
      await field(page, 'identifier').waitFor();
      assert.equal(await on.forgot(page).isVisible(), on.forgotFirst);
      assert.equal(await page.locator('input[type=password]').count(), 0, 'the first page has no password field');
      await identify(page, owner.email);
      await on.other(page).click();
      await on.choose(page, 'okta_password').click();
      await enter(page, on, 'not-the-password');
      await on.box(page).waitFor();
      await enterAgain(page, on, password);
      await succeeded(page, owner.email);
    });
  });

  test(`Sign-In Widget, generation ${generation}, IDX_C55 two factors`, async () => {
    const engine = 'twoFactors';
    const owner = await withPassword({ engine: engines[engine] });
    await visit(generation, async (page) => {
      await identify(page, owner.email);
      await on.choose(page, 'okta_password').click();
      await enter(page, on, password);
      await on.choose(page, 'okta_email').click();
      const { code } = await mail(engines[engine], owner.email, owner.message);
      await on.enterCode(page).click();
      await enter(page, on, code);
      await succeeded(page, owner.email);
    }, engine);
  });

  // Whose key the page's own browser holds.
  async function keeper(page) {
    await page.goto('about:blank'); // or the widget that waits there would use it at once
    const { auth, email } = await prove({ engine: engines.passkeys, app: spa });
    const { nextStep } = await auth.idx.proceed({ authenticator: 'webauthn' });
    const { activationData } = nextStep.authenticator.contextualData;
    const key = new Key(new URL(pageURL).origin);
    await auth.idx.proceed(webauthn.getAttestation(key.create(
      webauthn.buildCredentialCreationOptions(activationData, nextStep.authenticatorEnrollments))));
    const session = await page.context().newCDPSession(page);
    await session.send('WebAuthn.enable');
    const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', { options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true,
    } });
    await session.send('WebAuthn.addCredential', { authenticatorId, credential: {
      credentialId: key.id.toString('base64'), isResidentCredential: true, rpId: key.rpId, signCount: 0,
      privateKey: key.pair.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
      userHandle: Buffer.from(activationData.user.id, 'base64url').toString('base64'),
    } });
    return email;
  }

  test(`Sign-In Widget, generation ${generation}, AUTH_A37 the button for passkeys`, () =>
    visit(generation, async (page) => {
      const email = await keeper(page);
      await page.addInitScript('PublicKeyCredential.isConditionalMediationAvailable = async () => false');
      await page.goto(home(generation, 'passkeys'));
      await on.passkey(page).click();
      await succeeded(page, email);
    }, 'passkeys'));

  test(`Sign-In Widget, generation ${generation}, AUTH_A37 passkeys in the list of the field`, () =>
    visit(generation, async (page) => {
      const email = await keeper(page);
      await page.goto(home(generation, 'passkeys'));
      await succeeded(page, email);
    }, 'passkeys'));

  test(`Sign-In Widget, generation ${generation}, AUTH_A79 who has no passkey is asked as ever`, async () => {
    const engine = 'passkeys';
    const owner = await withPassword({ engine: engines[engine] });
    await visit(generation, async (page) => {
      await on.passkey(page).waitFor();
      await identify(page, owner.email);
      const { code } = await mail(engines[engine], owner.email, owner.message);
      await on.enterCode(page).click();
      await enter(page, on, code);
      await succeeded(page, owner.email);
    }, engine);
  });

  for (const engine of ['protect', 'passwordFirst']) {
    test(`Sign-In Widget, generation ${generation}, IDX_C67 a forgotten password, ${engine}`, async () => {
      const owner = await withPassword({ engine: engines[engine] });
      await visit(generation, async (page) => {
        let after = owner.message;
        const first = engine === 'passwordFirst' || on.forgotFirst;
        if (!first) {
          await identify(page, owner.email);
          after = await mail(engines[engine], owner.email, after);
          await on.other(page).click();
          await on.choose(page, 'okta_password').click();
        }
        await on.forgot(page).click();
        if (first) {
          await page.getByText('Reset your password').waitFor();
          assert.equal(await page.locator('input[type=password]').count(), 0);
          await identify(page, owner.email);
        }
        await on.choose(page, 'okta_email').click();
        const { code } = await mail(engines[engine], owner.email, after);
        await on.enterCode(page).click();
        await enter(page, on, code);
        await on.confirmation(page).fill(freshPassword);
        await enter(page, on, freshPassword);
        await succeeded(page, owner.email);
      }, engine);
    });
  }
}
