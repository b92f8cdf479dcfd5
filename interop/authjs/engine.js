// Where the engines under test are, and what they mailed.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: start the suite with interop/run`);
  return value;
}

// The engines differ in one thing each: interop/run says in what.
export const engines = {
  protect: required('STILE_PROTECT_URL'),
  disclose: required('STILE_DISCLOSE_URL'),
  requirePassword: required('STILE_REQUIRE_PASSWORD_URL'),
  passwordFirst: required('STILE_PASSWORD_FIRST_URL'),
  twoFactors: required('STILE_TWO_FACTORS_URL'),
  expired: required('STILE_EXPIRED_URL'),
  expiring: required('STILE_EXPIRING_URL'),
  profiling: required('STILE_PROFILING_URL'),
  authenticators: required('STILE_AUTHENTICATORS_URL'),
  secondFactors: required('STILE_SECOND_FACTORS_URL'),
  passkeys: required('STILE_PASSKEYS_URL'),
  phone: required('STILE_PHONE_URL'),
  accessCodes: required('STILE_ACCESS_CODES_URL'),
};

export const web = {
  name: 'confidential client',
  clientId: required('STILE_CLIENT_ID'),
  clientSecret: required('STILE_CLIENT_SECRET'),
  redirectUri: required('STILE_REDIRECT_URI'),
};

export const spa = {
  name: 'public client',
  clientId: required('STILE_SPA_CLIENT_ID'),
  redirectUri: required('STILE_SPA_REDIRECT_URI'),
};

// operate runs a command of the engine's operator, beside the engine of that name.
export function operate(engine, command, input) {
  execFileSync(required('STILE_BIN'), [...command, '--data', `${required('STILE_DATA_OF_ALL')}/${engine}`], { input, stdio: ['pipe', 'pipe', 'inherit'] });
}

// address returns one that no other test uses.
export function address(name = 'john.doe') {
  return `${name}.${randomBytes(6).toString('hex')}@example.com`;
}

// number returns a phone's that is nobody's, and no other test's: each process of
// tests begins at another place, and goes on from there.
let drawn = process.pid * 17;
export function number() {
  const areas = ['202', '212', '213', '305', '312', '404', '415', '503', '602', '617', '702', '713', '801', '907'];
  const line = drawn++;
  return `+1${areas[Math.floor(line / 100) % areas.length]}55501${String(line % 100).padStart(2, '0')}`;
}

async function messages(engine, to, query) {
  const url = `${engine}/dev/inbox/api/messages?${new URLSearchParams({ to, ...query })}`;
  const response = await fetch(url);
  if (!response.ok) throw new Error(`inbox answers ${response.status}: ${await response.text()}`);
  return (await response.json()).messages;
}

// mail waits for the newest message to an address, or for one newer than `after`.
export async function mail(engine, to, after) {
  const [newest] = await messages(engine, to, { wait: '30s', ...(after && { after: after.id }) });
  if (!newest) throw new Error(`no mail to ${to} in 30 seconds`);
  return newest;
}

// mails lists what has been sent to an address so far, newest first.
export const mails = (engine, to) => messages(engine, to, {});

// wrong returns a code that is not the right one, another for each n.
export function wrong(code, n = 1) {
  return String((Number(code) + n) % 1e6).padStart(6, '0');
}

// open fetches a mailed link as a browser does, and says where it leads.
export async function open(link) {
  const response = await fetch(link, { redirect: 'manual', headers: { Accept: 'text/html' } });
  const location = response.headers.get('location');
  return { status: response.status, location: location && new URL(location), text: await response.text() };
}
