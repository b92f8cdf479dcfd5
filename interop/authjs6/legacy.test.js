// okta-auth-js 6.x, as published: the guide's calls and shapes.
import { describe } from 'node:test';
import { OktaAuth } from '@okta/okta-auth-js';
import { suiteOf } from '../authjs/client.js';
import { suites } from '../authjs/suites.js';

const suite = suiteOf({ OktaAuth, listed: (nextStep) => nextStep.options });

for (const [name, run] of Object.entries(suites)) describe(`okta-auth-js 6: ${name}`, () => run(suite));
