// All suites of one version of the client, in the order of the guide.
import { signUpSuite } from './signup.js';
import { emailSuite } from './email.js';
import { passwordSuite } from './password.js';
import { verifySuite } from './verify.js';
import { signInSuite } from './signin.js';
import { factorSuite } from './factors.js';
import { phoneSuite } from './phone.js';
import { recoverySuite } from './recovery.js';
import { expirySuite } from './expiry.js';
import { tokenSuite } from './tokens.js';
import { refusalSuite } from './refusals.js';
import { authenticatorSuite } from './authenticators.js';
import { passkeySuite } from './passkeys.js';
import { documentSuite } from './documents.js';
import { accessCodeSuite } from './accesscodes.js';

export const suites = {
  'sign-up': signUpSuite,
  email: emailSuite,
  password: passwordSuite,
  'okta verify': verifySuite,
  'sign-in': signInSuite,
  factors: factorSuite,
  phone: phoneSuite,
  recovery: recoverySuite,
  expiry: expirySuite,
  tokens: tokenSuite,
  refusals: refusalSuite,
  authenticators: authenticatorSuite,
  passkeys: passkeySuite,
  documents: documentSuite,
  'access codes': accessCodeSuite,
};
