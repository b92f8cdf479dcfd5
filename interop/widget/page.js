// The app's page: it embeds the widget from the npm package, on an origin that
// is not the engine's.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('./node_modules/@okta/okta-signin-widget/dist', import.meta.url));

const types = {
  '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml',
  '.png': 'image/png', '.gif': 'image/gif', '.woff': 'font/woff', '.woff2': 'font/woff2', '.ttf': 'font/ttf',
};

// The third generation redeems the code itself only if told the scheme.
const generations = {
  2: { scripts: ['okta-sign-in.min.js'], styles: ['okta-sign-in.min.css'] },
  3: { scripts: ['okta-sign-in.next.js'], styles: ['okta-sign-in.min.css', 'okta-sign-in.next.css'], options: { authScheme: 'oauth2' } },
};

// html embeds one generation of the widget. What comes of it stands in
// window.outcome: the tokens, or the error.
function html(generation, config) {
  const { scripts, styles, options } = generations[generation];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Embedded widget</title><link rel="icon" href="data:,">
${styles.map((s) => `<link rel="stylesheet" href="/widget/css/${s}">`).join('\n')}
${scripts.map((s) => `<script src="/widget/js/${s}"></script>`).join('\n')}</head>
<body><div id="sign-in"></div><script>
const config = ${JSON.stringify({ ...config, ...options })};
const query = new URLSearchParams(location.search);
if (query.get('otp')) Object.assign(config, { otp: query.get('otp'), state: query.get('state') });
const widget = new OktaSignIn(config);
widget.showSignInToGetTokens({ el: '#sign-in' }).then(
  async (tokens) => {
    const info = await widget.authClient.token.getUserInfo(tokens.accessToken, tokens.idToken);
    window.outcome = { tokens, info };
  },
  (error) => { window.outcome = { error: String(error) }; });
</script></body></html>`;
}

// serve answers at `url` until it is closed. Any path but the widget's files is
// the page; ?generation= chooses the widget, ?engine= the engine, for the visits
// that come back without, too.
export function serve(url, engines, config) {
  const { port, hostname } = new URL(url);
  let generation = 2;
  let engine;
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, url);
    if (pathname.startsWith('/widget/')) {
      const file = join(dist, normalize(pathname.slice('/widget'.length)));
      const body = await readFile(file).catch(() => null);
      response.writeHead(body ? 200 : 404, { 'Content-Type': types[extname(file)] ?? 'application/octet-stream' });
      response.end(body);
      return;
    }
    generation = searchParams.get('generation') ?? generation;
    engine = searchParams.get('engine') ?? engine;
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' });
    response.end(html(generation, { ...config, issuer: `${engines[engine]}/oauth2/default` }));
  });
  return new Promise((done, fail) => server.once('error', fail).listen(port, hostname, () => done(server)));
}
