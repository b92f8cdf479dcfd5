// okta-auth-js 8.x, as published, with the option that the guide's calls need.
import { describe } from 'node:test';
import { OktaAuth } from '@okta/okta-auth-js';
import jsQR from 'jsqr';
import { PNG } from 'pngjs';
import { suiteOf } from '../authjs/client.js';
import { suites } from '../authjs/suites.js';

// scan reads a picture as a phone's camera would.
function scan(href) {
  const { data, width, height } = PNG.sync.read(Buffer.from(href.split(',')[1], 'base64'));
  return (jsQR.default ?? jsQR)(new Uint8ClampedArray(data), width, height)?.data;
}

const suite = suiteOf({
  OktaAuth,
  version: 8,
  scan,
  options: { idx: { enableLegacyMode: true } },
  listed: (nextStep) => nextStep.inputs.find((i) => i.name === 'authenticator').options,
});

for (const [name, run] of Object.entries(suites)) describe(`okta-auth-js 8: ${name}`, () => run(suite));
