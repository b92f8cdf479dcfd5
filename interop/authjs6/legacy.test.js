// okta-auth-js 6.x, as published: the guide's calls and shapes. Its CommonJS
// build is the one that runs in Node: the other one asks for a window.
import { describe } from 'node:test';
import { createRequire } from 'node:module';
import { suiteOf } from '../authjs/client.js';
import { suites } from '../authjs/suites.js';

const { OktaAuth } = createRequire(import.meta.url)('@okta/okta-auth-js');
const suite = suiteOf({ OktaAuth, version: 6, listed: (nextStep) => nextStep.options });

for (const [name, run] of Object.entries(suites)) describe(`okta-auth-js 6: ${name}`, () => run(suite));
