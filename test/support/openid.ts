import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { exportJWK, SignJWT } from 'jose';

const KEY_ID = 'key-of-the-stand-in';
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

/** Stands in for the Bot Connector: has OpenID metadata and keys as Microsoft's has, and signs with them. */
export class OpenIdStandIn {
  private readonly tokens = new Map<string, string>();
  private constructor(
    private readonly server: Server,
    private readonly origin: string,
  ) {}

  static async start(): Promise<OpenIdStandIn> {
    const key = { ...(await exportJWK(publicKey)), kid: KEY_ID, use: 'sig', alg: 'RS256', endorsements: [] };
    const server = createServer((request, response) => {
      const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const body = request.url === '/keys' ? { keys: [key] } : { issuer: origin, jwks_uri: `${origin}/keys` };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new OpenIdStandIn(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }

  /** For the `config` of an integration. */
  config(appId: string): { readonly appId: string; readonly openIdMetadataUrl: string; readonly issuer: string } {
    return { appId, openIdMetadataUrl: `${this.origin}/openid`, issuer: this.origin };
  }

  /** `Authorization` of an activity from this service. */
  async authorization(appId: string, serviceUrl: string): Promise<string> {
    const key = `${appId} ${serviceUrl}`;
    let token = this.tokens.get(key);
    if (token === undefined) {
      token = await new SignJWT({ serviceurl: serviceUrl })
        .setProtectedHeader({ alg: 'RS256', kid: KEY_ID, typ: 'JWT' })
        .setIssuer(this.origin)
        .setAudience(appId)
        .setIssuedAt()
        .setNotBefore('0s')
        .setExpirationTime('1h')
        .sign(privateKey);
      this.tokens.set(key, token);
    }
    return `Bearer ${token}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
