// The Sign-In Widget 7.x, as published, embedded cross-origin in Chromium.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { engines, spa, address, mail, wrong } from '../authjs/engine.js';
import { serve } from './page.js';

const pageURL = process.env.STILE_PAGE_URL;
const patience = 30_000;
const password = 'correct-horse-battery-9';

let server;
let browser;

before(async () => {
  assert.ok(pageURL, 'STILE_PAGE_URL is not set: start the suite with interop/run');
  server = await serve(pageURL, {
    issuer: `${engines.protect}/oauth2/default`,
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
async function visit(generation, steps) {
  const context = await browser.newContext();
  context.setDefaultTimeout(patience);
  const seen = [];
  const allowed = [new URL(pageURL).origin, engines.protect];
  await context.route('**', (route) => {
    const { origin, protocol } = new URL(route.request().url());
    if (protocol === 'data:' || protocol === 'blob:' || allowed.includes(origin)) return route.continue();
    seen.push(`asked for ${route.request().url()}`);
    return route.abort();
  });
  context.on('weberror', (e) => seen.push(`uncaught: ${e.error()}`));
  const log = [];
  context.on('console', (m) => log.push(`${m.type()}: ${m.text()}`));
  context.on('response', (r) => r.url().startsWith(engines.protect) && log.push(`${r.status()} ${r.request().method()} ${r.url()}`));
  const page = await context.newPage();
  try {
    await page.goto(`${pageURL}/?generation=${generation}`);
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

const field = (page, name) => page.locator(`input[name="${name}"]`);

// What differs between the two generations. Only the second submits a link's
// code by itself; the third shows the code's page.
const words = {
  2: {
    submit: (page) => page.locator('input[type=submit]'),
    enterCode: (page) => page.locator('.enter-auth-code-instead-link'),
    skip: (page) => page.locator('.skip-all'),
    choosePassword: (page) => page.locator('[data-se=okta_password] a, [data-se=okta_password] button').first(),
    confirmation: (page) => field(page, 'confirmPassword'),
    error: (page) => page.locator('.o-form-input-error').first(),
    submitsLink: true,
  },
  3: {
    submit: (page) => page.locator('[data-type=save], button[type=submit]').first(),
    enterCode: (page) => page.getByRole('button', { name: 'Enter a verification code instead' }),
    skip: (page) => page.getByRole('button', { name: 'Continue', exact: true }),
    choosePassword: (page) => page.locator('[data-se=okta_password]').first(),
    confirmation: (page) => field(page, 'confirmPassword'),
    error: (page) => page.locator('[role=alert], .Mui-error').first(),
    submitsLink: false,
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
      await on.choosePassword(tab).click();
      await field(tab, 'credentials.passcode').fill(password);
      await on.confirmation(tab).fill(password);
      await on.submit(tab).click();
      await succeeded(tab, email);
      // A poll takes the first tab along, to a later step or to the end.
      await on.enterCode(page).waitFor({ state: 'hidden' });
    }));
}
