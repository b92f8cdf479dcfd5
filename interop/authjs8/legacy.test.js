// okta-auth-js 8.x, as published, with the option that the guide's calls need.
import { describe } from 'node:test';
import { OktaAuth } from '@okta/okta-auth-js';
import { suiteOf } from '../authjs/client.js';
import { suites } from '../authjs/suites.js';

const suite = suiteOf({
  OktaAuth,
  version: 8,
  options: { idx: { enableLegacyMode: true } },
  listed: (nextStep) => nextStep.inputs.find((i) => i.name === 'authenticator').options,
});

for (const [name, run] of Object.entries(suites)) describe(`okta-auth-js 8: ${name}`, () => run(suite));
