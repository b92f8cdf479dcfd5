// The Sign-In Widget 7.x, as published, embedded cross-origin in Chromium.
import { describe, test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { engines, spa, address, mail, wrong } from '../authjs/engine.js';
import { serve } from './page.js';

const pageURL = process.env.STILE_PAGE_URL;
const patience = 15_000;

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
    features: { rememberMe: false },
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
  const page = await context.newPage();
  context.on('weberror', (e) => seen.push(`uncaught: ${e.error()}`));
  const log = [];
  page.on('console', (m) => log.push(`${m.type()}: ${m.text()}`));
  page.on('response', (r) => r.url().startsWith(engines.protect) && log.push(`${r.status()} ${r.request().method()} ${r.url()}`));
  try {
    await page.goto(`${pageURL}/?generation=${generation}`);
    await steps(page, context);
    assert.deepEqual(seen, []);
  } catch (error) {
    const dir = await mkdtemp(join(tmpdir(), 'stile-widget-'));
    await page.screenshot({ path: join(dir, 'page.png') }).catch(() => {});
    error.message += `\nscreenshot in ${dir}\n${[...seen, ...log].join('\n')}`;
    throw error;
  } finally {
    await context.close();
  }
}

// What the two generations call the same things.
const words = {
  2: {
    signUp: (page) => page.locator('a.enroll'),
    submit: (page) => page.locator('input[type=submit]'),
    enterCode: (page) => page.locator('.enter-auth-code-instead-link'),
    skip: (page) => page.locator('.skip-all'),
    identifier: (page) => page.locator('input[name=identifier]'),
    field: (page, name) => page.locator(`input[name="${name}"]`),
    error: (page) => page.locator('.o-form-input-error, .infobox-error').first(),
  },
  3: {
    signUp: (page) => page.locator('[data-se=enroll]'),
    submit: (page) => page.locator('[data-type=save], button[type=submit]').first(),
    enterCode: (page) => page.getByRole('button', { name: /enter a (verification )?code/i }),
    skip: (page) => page.getByRole('button', { name: /set up later|continue/i }).first(),
    identifier: (page) => page.locator('input[name=identifier]'),
    field: (page, name) => page.locator(`input[name="${name}"]`),
    error: (page) => page.locator('[role=alert], .Mui-error').first(),
  },
};

// register fills in the sign-up page as far as the code's page.
async function register(page, on, email) {
  await on.signUp(page).click();
  await on.field(page, 'userProfile.firstName').fill('John');
  await on.field(page, 'userProfile.lastName').fill('Doe');
  await on.field(page, 'userProfile.email').fill(email);
  await on.submit(page).click();
}

async function enter(page, on, code) {
  await on.field(page, 'credentials.passcode').fill(code);
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
  describe(`Sign-In Widget, generation ${generation}`, () => {
    const email = address();
    let user;
    let newest;

    test('signs a user up by code', () => visit(generation, async (page) => {
      await register(page, on, email);
      newest = await mail(engines.protect, email);
      await on.enterCode(page).click();
      await enter(page, on, wrong(newest.code));
      await on.error(page).waitFor();
      await enter(page, on, newest.code);
      await on.skip(page).click();
      user = await succeeded(page, email);
    }));

    test('signs that user in by code', () => visit(generation, async (page) => {
      await on.identifier(page).fill(email);
      await on.submit(page).click();
      const { code } = await mail(engines.protect, email, newest);
      await on.enterCode(page).click();
      await enter(page, on, code);
      assert.equal(await succeeded(page, email), user);
    }));

    test('signs a user up by the link in the mail', () => visit(generation, async (page, context) => {
      const other = address();
      await register(page, on, other);
      await on.enterCode(page).waitFor();
      const { link } = await mail(engines.protect, other);
      const tab = await context.newPage();
      await tab.goto(link);
      await on.skip(tab).click();
      await succeeded(tab, other);
      await page.getByText(/continued in a new tab/i).waitFor();
    }));
  });
}
