// The client reads every golden document of the engine, as it reads the answer to
// introspect. No engine answers here.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';

const folder = new URL('../../internal/idxapi/testdata/', import.meta.url);
const documents = readdirSync(folder).map((file) => ({ name: file.replace('.json', ''), doc: JSON.parse(readFileSync(new URL(file, folder), 'utf8')) }));

// answering is an HTTP client in whose network there is nothing but one document,
// with the status that it came with.
function answering(name, doc) {
  const status = name === 'error-expired' ? 401 : name.startsWith('error-') ? 400 : 200;
  return async (method, url) => {
    let answer = [200, { code_challenge_methods_supported: ['S256'] }];
    if (url.endsWith('/interact')) answer = [200, { interaction_handle: 'ih.HANDLE' }];
    if (url.endsWith('/introspect')) answer = [status, structuredClone(doc)];
    const response = {
      status: answer[0], responseText: JSON.stringify(answer[1]), responseJSON: answer[1], responseType: 'application/json',
      headers: { 'content-type': 'application/ion+json; okta-version=1.0.0' },
    };
    if (response.status >= 400) throw response;
    return response;
  };
}

export function documentSuite({ connect }) {
  test('AUTH_A06 there are documents of every kind', () => {
    assert.ok(documents.length > 60, `${documents.length} documents`);
  });

  for (const { name, doc } of documents) {
    test(`AUTH_A06 ${name} is read, with all its steps`, async () => {
      const auth = connect({ httpRequestClient: answering(name, doc) });
      const transaction = await auth.idx.startTransaction();
      assert.notEqual(transaction.status, 'FAILURE', JSON.stringify(transaction.error));
      const forms = (doc.remediation?.value ?? []).map((f) => f.name);
      assert.deepEqual(transaction.neededToProceed.map((r) => r.name), forms);
      const steps = (transaction.availableSteps ?? []).filter((s) => forms.includes(s.name));
      const known = forms.filter((f) => steps.some((s) => s.name === f)); // this mode has no steps of some
      assert.deepEqual(steps.map((s) => s.name), known);
      const texts = new Set(JSON.stringify(doc).match(/"message":"[^"]+"/g)); // each is told once
      assert.equal((transaction.messages ?? []).length, texts.size, JSON.stringify(transaction.messages));
    });
  }
}
