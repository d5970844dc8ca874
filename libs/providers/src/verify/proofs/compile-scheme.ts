import { unreachable } from '#libs/kernel/src/unreachable.js';
import type { Scheme } from '#libs/plugin-sdk/src/scheme/scheme-shape.js';

import { hmacProof } from './hmac.js';
import { jwtProof, type KeySource } from './jwt.js';
import type { Proof } from './proof.js';
import { publicKeyProof } from './public-key.js';
import { addressAlone, basicProof, fieldProof, headerProof, queryProof } from './shared-value.js';
import { type Certificates, snsProof } from './sns.js';

/** Where keys come from that are not configured. */
export interface KeyParts {
  readonly keys: KeySource;
  readonly certificates: Certificates;
}

/** The proof that a scheme declares. @throws TemplateFault, ExpressionError */
export function compileScheme(scheme: Scheme, { keys, certificates }: KeyParts): Proof {
  switch (scheme.kind) {
    case 'hmac':
      return hmacProof(scheme);
    case 'ed25519':
    case 'ecdsa':
      return publicKeyProof(scheme);
    case 'basic':
      return basicProof(scheme);
    case 'header':
      return headerProof(scheme);
    case 'query':
      return queryProof(scheme);
    case 'field':
      return fieldProof(scheme);
    case 'jwt':
      return jwtProof(scheme, keys);
    case 'sns':
      return snsProof(scheme, certificates);
    case 'none':
      return addressAlone;
    default:
      return unreachable(scheme);
  }
}
