// A security key in software, and as much of a browser around it as the client's
// helpers want: navigator.credentials is not there in Node.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest();

// cbor encodes what attestations are made of.
function cbor(value) {
  const head = (major, n) => {
    if (n < 24) return Buffer.from([major << 5 | n]);
    if (n < 256) return Buffer.from([major << 5 | 24, n]);
    return Buffer.from([major << 5 | 25, n >> 8, n & 255]);
  };
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Buffer.concat([head(5, entries.length), ...entries.flatMap(([k, v]) => [cbor(k), cbor(v)])]);
}

export class Key {
  constructor(origin) {
    this.origin = origin;
    this.rpId = new URL(origin).hostname;
    this.id = randomBytes(32);
    this.pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  }

  client(type, challenge) {
    return Buffer.from(JSON.stringify({
      type, challenge: Buffer.from(challenge).toString('base64url'), origin: this.origin, crossOrigin: false,
    }));
  }

  // data is that of somebody who touched the key and whom it knows.
  data(flags) {
    return Buffer.concat([sha256(this.rpId), Buffer.from([flags | 0x05, 0, 0, 0, 0])]);
  }

  // create is navigator.credentials.create.
  create({ publicKey }) {
    if (!publicKey.pubKeyCredParams.some(({ alg }) => alg === -7)) throw new Error('nobody wants ES256');
    if (publicKey.excludeCredentials.some(({ id }) => Buffer.from(id).equals(this.id))) throw new Error('InvalidStateError');
    const { x, y } = this.pair.publicKey.export({ format: 'jwk' });
    const cose = cbor(new Map([[1, 2], [3, -7], [-1, 1], [-2, Buffer.from(x, 'base64url')], [-3, Buffer.from(y, 'base64url')]]));
    const authData = Buffer.concat([this.data(0x40), Buffer.alloc(16), Buffer.from([0, this.id.length]), this.id, cose]);
    return {
      id: this.id.toString('base64url'),
      response: {
        clientDataJSON: this.client('webauthn.create', publicKey.challenge),
        attestationObject: cbor({ fmt: 'none', attStmt: {}, authData }),
        getTransports: () => ['internal'],
      },
    };
  }

  // get is navigator.credentials.get.
  get({ publicKey }) {
    const allowed = publicKey.allowCredentials;
    if (allowed.length && !allowed.some(({ id }) => Buffer.from(id).equals(this.id))) throw new Error('NotAllowedError');
    const clientDataJSON = this.client('webauthn.get', publicKey.challenge);
    const authenticatorData = this.data(0);
    const signature = sign('sha256', Buffer.concat([authenticatorData, sha256(clientDataJSON)]), this.pair.privateKey);
    return { id: this.id.toString('base64url'), response: { clientDataJSON, authenticatorData, signature, userHandle: null } };
  }
}
